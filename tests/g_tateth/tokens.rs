//! JWTs: only those that this service has signed, for as long as they say.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::api::{
    Api, CONVERSATIONS, DEMO, KEYS, ROUTES, data, now, refused, refused_as_invalid_key,
};

const SECRET: &str = "jV8#qZ2!mW5^tR9&xK4*pL7@dF1%gH6$";
const ELSEWHERE: &str = "bN3$wE6^yT8!uI1@oP5&aS9*kD2#fG7%";

/// Header and claims of a token.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
    let mut next = || serde_json::from_slice(&parts.next().expect("a part")).unwrap_or_default();
    (next(), next())
}

fn signed(header: &Value, claims: &Value, algorithm: hmac::Algorithm, secret: &str) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A service whose secret is known, and the parts of a good token.
async fn known() -> (Api, Value, Value) {
    let api = Api::with(&[("JWT_SECRET", SECRET)]);
    let (header, claims) = parts(&api.token(DEMO).await);
    (api, header, claims)
}

fn again(header: &Value, claims: &Value) -> String {
    signed(header, claims, hmac::HMAC_SHA256, SECRET)
}

#[tokio::test]
async fn a_token_holds_all_permissions_of_its_user() {
    let (api, header, claims) = known().await;
    let token = again(&header, &claims);
    for (method, path, _, body) in ROUTES {
        let call = api.call(method, path).bearer(&token).body(body);
        let answer = call.header("content-type", "application/json").send().await;
        assert!(answer.status.is_success(), "{method} {path}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn an_expired_token_is_called_expired() {
    let (api, header, mut claims) = known().await;
    claims["iat"] = (now().as_secs() - 7_200).into();
    claims["exp"] = (now().as_secs() - 3_600).into();
    let answer = api.use_of(&again(&header, &claims)).await;
    refused(&answer, 401, "AUTH_EXPIRED");
    assert_eq!(answer.header("x-ratelimit-limit"), None);
    // Only one that is good otherwise is.
    let forged = signed(&header, &claims, hmac::HMAC_SHA256, ELSEWHERE);
    refused(&api.use_of(&forged).await, 401, "AUTH_INVALID");
}

#[tokio::test]
async fn a_token_that_is_not_of_this_service_is_invalid() {
    let (api, header, claims) = known().await;
    let good = again(&header, &claims);
    data(&api.use_of(&good).await, 200);
    let (signed_part, signature) = good.rsplit_once('.').expect("a signature");
    let unsigned = |alg: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "typ": "JWT" }).to_string());
        let (_, rest) = signed_part.split_once('.').expect("claims");
        format!("{header}.{rest}.")
    };
    let mut richer = claims.clone();
    richer["sub"] = "root".into();
    let richer = again(&header, &richer);
    let (richer_part, _) = richer.rsplit_once('.').expect("a signature");
    let hs512 = json!({ "alg": "HS512", "typ": "JWT" });
    let bad = [
        unsigned("none"),
        unsigned("None"),
        unsigned("HS256"),
        format!("{signed_part}."),
        format!("{richer_part}.{signature}"),
        signed(&header, &claims, hmac::HMAC_SHA256, ELSEWHERE),
        signed(&hs512, &claims, hmac::HMAC_SHA512, SECRET),
        signed(&hs512, &claims, hmac::HMAC_SHA256, SECRET),
        "a.b.c".to_owned(),
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...".to_owned(),
        format!("{good}.{signature}"),
        format!("{good}A"),
    ];
    for token in bad {
        let answer = api.use_of(&token).await;
        refused(&answer, 401, "AUTH_INVALID");
        assert_eq!(answer.header("x-ratelimit-limit"), None, "{token}");
    }
    let headless = good.split_once('.').expect("a header").1.replace('.', "");
    refused_as_invalid_key(&api.use_of(&headless).await);
}

#[tokio::test]
async fn a_token_must_make_its_claims() {
    let (api, header, claims) = known().await;
    let future = now().as_secs() + 7_200;
    let edits = [
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("iss", json!("https://elsewhere.example")),
        ("iss", Value::Null),
        ("aud", json!("https://elsewhere.example")),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("tenant", json!("nobody")),
        ("tenant", Value::Null),
        ("nbf", json!(future)),
        ("iat", json!(future)),
    ];
    for (name, value) in edits {
        let mut edited = claims.clone();
        edited[name] = value.clone();
        let answer = api.use_of(&again(&header, &edited)).await;
        assert_eq!(answer.status, 401, "{name} = {value}");
        refused(&answer, 401, "AUTH_INVALID");
    }
}

#[tokio::test]
async fn each_start_has_a_secret_of_its_own() {
    let (one, two) = (Api::start(), Api::start());
    let token = one.token(DEMO).await;
    data(&one.use_of(&token).await, 200);
    refused(&two.use_of(&token).await, 401, "AUTH_INVALID");
    // With the same secret, a token outlives a restart.
    let (one, two) = (Api::with(&[("JWT_SECRET", SECRET)]), Api::with(&[("JWT_SECRET", SECRET)]));
    data(&two.use_of(&one.token(DEMO).await).await, 200);
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let (api, header, mut claims) = known().await;
    let full = again(&header, &claims);
    claims["permissions"] = json!(["read:customers"]);
    let narrow = again(&header, &claims);
    refused(&api.get(CONVERSATIONS).bearer(&narrow).send().await, 403, "INSUFFICIENT_PERMISSIONS");
    let body =
        |permission| json!({ "name": "test", "permissions": ["read:customers", permission] });
    let wide = api.post(KEYS).bearer(&narrow).json(&body("write:customers")).send().await;
    refused(&wide, 403, "INSUFFICIENT_PERMISSIONS");
    let created = api.create(&narrow, &body("read:customers")).await;
    let id = created["id"].as_str().expect("an id");
    let wider = json!({ "permissions": ["write:customers"] });
    let patched = api.patch(&narrow, id, wider.clone()).await;
    refused(&patched, 403, "INSUFFICIENT_PERMISSIONS");
    data(&api.patch(&full, id, wider).await, 200);
}
