//! How the example starts and stops.

use crate::*;

#[tokio::test]
async fn one_line_says_that_it_is_ready_and_where() {
    let server = Server::example("convotic", &[]);
    let line = format!("convotic is ready on {}\n", server.base());
    assert_eq!(server.ready(), line);
    assert!(!server.base().ends_with(":0"));
    let answer = server.client().get("/v1/contacts").send().await;
    assert_refused(&answer, 401, "missing_api_key");
}

#[tokio::test]
async fn production_is_the_default() {
    let convotic = Convotic::with(&[]);
    assert!(convotic.key().await.text.starts_with("cvtk_live_"));
}

#[tokio::test]
async fn sigterm_ends_it_with_success_though_clients_hold_connections() {
    let convotic = Convotic::production();
    // The client keeps the connection of this answer.
    assert_refused(&convotic.contacts().send().await, 401, "missing_api_key");
    let silent = std::net::TcpStream::connect(convotic.server.base().trim_start_matches("http://"));
    assert!(convotic.server.stop());
    drop(silent);
}

#[test]
fn an_unknown_environment_is_refused_by_name() {
    for name in ["prod", "Production", "test", ""] {
        let said = Server::refusal("convotic", &[("APP_ENV", name)]);
        assert!(said.contains("APP_ENV") && said.contains(&format!("{name:?}")), "{said}");
    }
}

#[test]
fn a_weak_secret_is_refused_and_not_shown() {
    for secret in ["", "hunter2", "only-31-bytes-are-too-few-bytes"] {
        let said = Server::refusal("convotic", &[("JWT_SECRET", secret)]);
        assert!(said.contains("JWT_SECRET"), "{said}");
        assert!(secret.is_empty() || !said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn a_secret_of_32_bytes_is_enough() {
    let convotic = Convotic::with(&[("JWT_SECRET", "exactly-32-bytes-are-long-enough")]);
    convotic.sign_in().await;
}

#[test]
fn an_address_that_is_none_is_refused() {
    let said = Server::refusal("convotic", &[("LISTEN", "nowhere")]);
    assert!(said.starts_with("convotic: "), "{said}");
}
