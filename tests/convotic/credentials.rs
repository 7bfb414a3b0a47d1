//! Keys that are missing, wrong, or too many.

use http::{Method, StatusCode};
use keygate::{Environment, KeyFormat};

use crate::*;

/// A key in the right form that nobody was given.
fn stranger(environment: Environment) -> String {
    KeyFormat::cvtk().generate(environment).unwrap().reveal().to_owned()
}

#[tokio::test]
async fn a_request_without_the_header_misses_its_key() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "elsewhere").await.text;
    let missing = [
        convotic.contacts(),
        // A key counts in `X-API-Key` and nowhere else.
        convotic.contacts().bearer(&key),
        convotic.contacts().header("authorization", format!("ApiKey {key}")),
        convotic.contacts().header("x-api-token", &key),
        convotic.contacts().header("cookie", format!("X-API-Key={key}")),
        convotic.client.get(&format!("/v1/contacts?api_key={key}&X-API-Key={key}")),
        // A session opens the dashboard, not the API.
        convotic.contacts().header("cookie", &session),
        convotic.contacts().bearer(token_of(&session)),
    ];
    for call in missing {
        let answer = call.send().await;
        assert_refused(&answer, 401, "missing_api_key");
        assert_uncounted(&answer);
    }
}

#[tokio::test]
async fn what_is_in_authorization_changes_nothing() {
    let convotic = Convotic::production();
    let key = convotic.key().await.text;
    for other in ["Bearer cvtk_live_other", "Basic Zm9vOmJhcg==", "Bearer a.b.c"] {
        let call = convotic.contacts().header("authorization", other);
        assert_eq!(call.header("x-api-key", &key).send().await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_wrong_key_is_invalid_whatever_is_wrong_with_it() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "victim").await.text;
    let sk = KeyFormat::sk().generate(Environment::Live).unwrap();
    let last = if key.ends_with('a') { 'b' } else { 'a' };
    let wrong: Vec<Vec<u8>> = vec![
        stranger(Environment::Live).into(),
        stranger(Environment::Test).into(),
        format!("{}{last}", &key[..key.len() - 1]).into(),
        key[..key.len() - 1].into(),
        format!("{key}0").into(),
        key.to_uppercase().into(),
        key.replace("cvtk_", "sk_").into(),
        key.replace("_live_", "_test_").into(),
        sk.reveal().into(),
        format!("Bearer {key}").into(),
        format!("{key},{key}").into(),
        format!("\"{key}\"").into(),
        token_of(&session).into(),
        "cvtk_live_your_api_key_here".into(),
        "cvtk_live_".into(),
        "cvtk".into(),
        "".into(),
        "null".into(),
        b"cvtk_live_\xff\xfe".to_vec(),
        "x".repeat(20_000).into(),
    ];
    for wrong in wrong {
        let answer = convotic.contacts_with(&wrong).await;
        let shown = String::from_utf8_lossy(&wrong[..wrong.len().min(60)]).into_owned();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{shown:?}");
        assert_refused(&answer, 401, "invalid_api_key");
        assert_uncounted(&answer);
    }
    assert_eq!(convotic.contacts_with(&key).await.status, StatusCode::OK);
}

#[tokio::test]
async fn two_keys_in_one_request_are_ambiguous() {
    let convotic = Convotic::production();
    let key = convotic.key().await.text;
    for second in [key.as_str(), "nonsense", ""] {
        let call = convotic.contacts().header("x-api-key", &key).header("X-API-Key", second);
        let answer = call.send().await;
        assert_refused(&answer, 400, "ambiguous_credentials");
        assert_uncounted(&answer);
    }
}

#[tokio::test]
async fn a_revoked_key_is_invalid_from_the_next_request_on() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "leaked").await;
    let other = convotic.create_key(&session, "kept").await;
    assert_eq!(convotic.contacts_with(&key.text).await.status, StatusCode::OK);

    let answer = convotic.revoke(&session, &key.id).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());

    let answer = convotic.contacts_with(&key.text).await;
    assert_refused(&answer, 401, "invalid_api_key");
    assert_uncounted(&answer);
    assert_eq!(convotic.contacts_with(&other.text).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_environment_takes_its_own_keys() {
    let (production, staging) = (Convotic::production(), Convotic::staging());
    let (live, test) = (production.key().await.text, staging.key().await.text);
    assert!(live.starts_with("cvtk_live_"), "{live}");
    assert!(test.starts_with("cvtk_test_"), "{test}");

    assert_eq!(production.contacts_with(&live).await.status, StatusCode::OK);
    assert_eq!(staging.contacts_with(&test).await.status, StatusCode::OK);
    assert_refused(&production.contacts_with(&test).await, 401, "invalid_api_key");
    assert_refused(&staging.contacts_with(&live).await, 401, "invalid_api_key");

    let info = staging.client.get("/v1/info").header("x-api-key", &test).send().await;
    assert_eq!(info.json()["environment"], "test");
}

#[tokio::test]
async fn the_header_has_no_case_and_its_value_no_outer_space() {
    let convotic = Convotic::production();
    let key = convotic.key().await.text;
    let padded = format!(" \t{key} ");
    for (name, value) in [("X-API-KEY", &key), ("x-api-key", &key), ("X-Api-Key", &padded)] {
        let call = convotic.client.call(Method::GET, "/v1/contacts").header(name, value);
        assert_eq!(call.send().await.status, StatusCode::OK);
    }
}
