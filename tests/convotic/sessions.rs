//! Sessions that are forged, over, or about to be.

use http::StatusCode;

use crate::*;

impl Convotic {
    async fn list_with(&self, token: &str) -> Answer {
        self.client.get("/dashboard/api-keys").header("cookie", session(token)).send().await
    }
}

#[tokio::test]
async fn a_forged_session_is_invalid() {
    let convotic = Convotic::production();
    let good = convotic.sign_in().await;
    let (good, claims) = (token_of(&good), claims_of(&good));
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(&claims)
    };
    let parts: Vec<_> = good.split('.').collect();
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut other = claims.clone();
    other["workspace"] = json!("another");
    let mut nowhere = claims.clone();
    nowhere.as_object_mut().unwrap().remove("workspace");
    let hs256 = json!({ "alg": "HS256", "typ": "JWT" });
    let forged = [
        // Not signed, or not by Convotic.
        format!("{}.{}.", encode(json!({ "alg": "none", "typ": "JWT" })), parts[1]),
        format!("{}.{}.", encode(json!({ "alg": "None" })), parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], encode(other), parts[2]),
        format!("{}.{}.{}x", parts[0], parts[1], &parts[2][..parts[2].len() - 1]),
        signed_by("another-secret-that-is-long-enough", &hs256, &claims),
        signed_by("", &hs256, &claims),
        signed_by(SECRET, &json!({ "alg": "HS512", "typ": "JWT" }), &claims),
        // Signed, but not for this.
        with("iss", json!("https://accounts.google.com")),
        with("aud", json!("api")),
        signed(&nowhere),
        with("workspace", json!(null)),
        with("workspace", json!("")),
        with("sub", json!("")),
        with("exp", json!("tomorrow")),
        with("exp", json!(null)),
        with("nbf", json!(now() + 3600)),
        with("iat", json!(now() + 3600)),
        // No token at all.
        "a.b.c".to_owned(),
        "nonsense".to_owned(),
        String::new(),
        "x.".repeat(5000),
    ];
    for token in &forged {
        let answer = convotic.list_with(token).await;
        let shown = &token[..token.len().min(200)];
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{shown}");
        assert_refused(&answer, 401, "invalid_session");
    }
    // The same claims signed here are good: what is refused above is refused for its own reason.
    assert_eq!(convotic.list_with(&signed(&claims)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_expired_session_says_so() {
    let convotic = Convotic::production();
    let mut claims = claims_of(&convotic.sign_in().await);
    for age in [0, 1, 3600] {
        claims["iat"] = json!(now() - 900 - age);
        claims["exp"] = json!(now() - age);
        let answer = convotic.list_with(&signed(&claims)).await;
        assert_refused(&answer, 401, "session_expired");
    }
    // Nobody learns from a forged token whether it would have expired.
    let forged =
        signed_by("another-secret-that-is-long-enough", &json!({ "alg": "HS256" }), &claims);
    assert_refused(&convotic.list_with(&forged).await, 401, "invalid_session");
}

#[tokio::test]
async fn without_a_secret_each_start_has_its_own() {
    let (one, two) = (Convotic::with(&[]), Convotic::with(&[]));
    let session = one.sign_in().await;
    assert!(one.keys(&session).await.is_empty());
    assert_refused(&two.list_with(token_of(&session)).await, 401, "invalid_session");
}

#[tokio::test]
async fn with_a_secret_sessions_outlive_a_restart() {
    let (one, two) = (Convotic::production(), Convotic::production());
    assert!(two.keys(&one.sign_in().await).await.is_empty());
}

#[tokio::test]
async fn a_session_in_use_is_renewed_once_half_of_it_is_over() {
    let convotic = Convotic::production();
    let mut claims = claims_of(&convotic.sign_in().await);
    let fresh = convotic.list_with(&signed(&claims)).await;
    assert_eq!(fresh.header("set-cookie"), None);

    claims["iat"] = json!(now() - 500);
    claims["exp"] = json!(now() + 400);
    claims["auth_time"] = json!(now() - 500);
    claims["sub"] = json!("somebody");
    claims["workspace"] = json!("elsewhere");
    let before = now();
    let answer = convotic.list_with(&signed(&claims)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let cookie = answer.header("set-cookie").expect("a new cookie");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Strict"),
        "{cookie}"
    );
    let renewed = claims_of(cookie.split(';').next().unwrap());
    for same in ["iss", "aud", "sub", "workspace", "auth_time"] {
        assert_eq!(renewed[same], claims[same], "{same}");
    }
    let exp = renewed["exp"].as_u64().unwrap();
    assert!((before + 900..=now() + 900).contains(&exp));
}

#[tokio::test]
async fn no_session_is_renewed_for_more_than_half_a_day() {
    let convotic = Convotic::production();
    let mut claims = claims_of(&convotic.sign_in().await);
    claims["exp"] = json!(now() + 60);
    for (began, renewed) in [(now() - 43_000, true), (now() - 43_200, false)] {
        claims["auth_time"] = json!(began);
        let answer = convotic.list_with(&signed(&claims)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("set-cookie").is_some(), renewed);
    }
}

#[tokio::test]
async fn a_refused_session_is_not_renewed() {
    let convotic = Convotic::production();
    let answer = convotic.list_with("a.b.c").await;
    assert_refused(&answer, 401, "invalid_session");
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn sign_out_ends_the_session_wherever_its_cookie_is() {
    let convotic = Convotic::production();
    let (one, other) = (convotic.sign_in().await, convotic.sign_in().await);
    let foreign = convotic.client.post("/auth/sign-out").header("sec-fetch-site", "cross-site");
    let answer = foreign.header("cookie", &one).send().await;
    assert_refused(&answer, 403, "cross_site_request");
    let answer = convotic.client.post("/auth/sign-out").header("cookie", &one).send().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let cleared = "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict";
    assert_eq!(answer.header("set-cookie"), Some(cleared));
    assert_refused(&convotic.list_with(token_of(&one)).await, 401, "invalid_session");
    assert!(convotic.keys(&other).await.is_empty());
}
