//! Signing in, and who may look at the dashboard.

use http::StatusCode;

use crate::*;

#[tokio::test]
async fn signing_in_sets_a_cookie_that_scripts_and_other_sites_never_see() {
    let convotic = Convotic::production();
    let answer = convotic.client.post("/auth/demo").send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({ "user": "demo", "workspace": "demo" }));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let cookie = answer.header("set-cookie").expect("a cookie");
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert!(pair.starts_with("__Host-session=ey"), "{pair}");
    // No `Domain`: the prefix `__Host-` forbids it.
    let attributes: BTreeSet<_> = attributes.split("; ").collect();
    let expected = ["Path=/", "Max-Age=900", "HttpOnly", "Secure", "SameSite=Strict"];
    assert_eq!(attributes, expected.into());
}

#[tokio::test]
async fn a_session_is_a_short_lived_jwt_of_one_user_and_workspace() {
    let convotic = Convotic::production();
    let before = now();
    let session = convotic.sign_in().await;
    let header = decoded(token_of(&session).split('.').next().unwrap());
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));

    let claims = claims_of(&session);
    assert_eq!((&claims["sub"], &claims["workspace"]), (&json!("demo"), &json!("demo")));
    let time = |name: &str| claims[name].as_u64().expect(name);
    assert_eq!(time("exp") - time("iat"), 15 * 60);
    assert!((before..=now()).contains(&time("iat")));
    // The issuer's signature is the one that the secret makes: HS256, no other.
    assert_eq!(session, format!("{COOKIE}={}", signed_like(&session)));
}

/// The session's own header and claims, signed anew.
fn signed_like(session: &str) -> String {
    use aws_lc_rs::hmac;
    let (message, _) = token_of(session).rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

#[tokio::test]
async fn only_the_cookie_opens_the_dashboard() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "curious").await.text;
    let token = token_of(&session);
    let list = || convotic.client.get("/dashboard/api-keys");
    let missing = [
        list(),
        list().header("x-api-key", &key),
        list().bearer(&key),
        list().bearer(token),
        list().header("x-api-key", token),
        list().header("cookie", format!("session={token}")),
        list().header("cookie", format!("__host-session={token}")),
        convotic.client.get(&format!("/dashboard/api-keys?{session}")),
    ];
    for call in missing {
        assert_refused(&call.send().await, 401, "missing_session");
    }
    // A key in the cookie's place is no session.
    let answer = list().header("cookie", format!("{COOKIE}={key}")).send().await;
    assert_refused(&answer, 401, "invalid_session");
}

#[tokio::test]
async fn the_cookie_is_found_among_others() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    for cookies in [format!("a=1; {session}; b=2"), format!("a=1;{session}"), format!("{session};")]
    {
        assert!(convotic.keys(&cookies).await.is_empty());
    }
}

#[tokio::test]
async fn two_sessions_in_one_request_are_ambiguous() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let list = || convotic.client.get("/dashboard/api-keys");
    let twice = [
        list().header("cookie", format!("{session}; {session}")),
        list().header("cookie", format!("{session}; {COOKIE}=other")),
        list().header("cookie", format!("{COOKIE}=; {session}")),
        list().header("cookie", &session).header("cookie", &session),
    ];
    for call in twice {
        assert_refused(&call.send().await, 400, "ambiguous_credentials");
    }
}
