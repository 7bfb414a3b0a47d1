//! Convotic, the provider and headless Chromium: the code flow end to end.

use serde_json::json;
use support::{Server, output};

use super::*;

const SIGN_ID_TOKENS: [&str; 4] = ["PS256", "ES256", "EdDSA", "Ed25519"];

pub(crate) async fn signs_in(provider: OpenIdProvider) -> Result<(), Failed> {
    let convotic = convotic(&provider, "convotic", "a secret: with \"marks\" & spaces%");
    let others = SIGN_ID_TOKENS
        .map(|alg| self::convotic(&provider, &format!("convotic-{alg}"), "known to the tests"));
    let profile = std::env::temp_dir().join(format!("keygate-browser-{}", std::process::id()));
    let mut script = Node::with_packages()?.script(include_str!("browser.mjs"));
    script.arg(chromium()?).arg(&profile).args([provider.issuer(), convotic.base()]);
    script.args(others.iter().map(Server::base));
    let said = output(&mut script);
    let _ = std::fs::remove_dir_all(&profile);
    judge(&provider, &serde_json::from_str(&said?)?)
}

fn convotic(provider: &OpenIdProvider, client: &str, secret: &str) -> Server {
    let environment = [
        ("OIDC_ISSUER", provider.issuer()),
        ("OIDC_CLIENT_ID", client),
        ("OIDC_CLIENT_SECRET", secret),
    ];
    Server::example("convotic", &environment)
}

fn judge(provider: &OpenIdProvider, seen: &Value) -> Result<(), Failed> {
    let is = |name: &str, good: bool| expect(good, format!("{name}: {}", seen[name]));
    is("askedAt", seen["askedAt"] == provider.issuer())?;
    // The browser has sent the cookie, and sees what the dashboard has for its owner.
    is("landed", seen["landed"] == json!({ "keys": [] }))?;
    let cookies = seen["cookies"].as_array().ok_or("no cookies")?;
    is("cookies", cookies.len() == 1 && cookies[0]["name"] == "__Host-session")?;
    let kept = ["httpOnly", "secure"].iter().all(|flag| cookies[0][flag] == true);
    is("cookies", kept && cookies[0]["sameSite"] == "Strict")?;
    is("created", seen["created"] == 201)?;
    // From another site no cookie comes along; from another origin of the same site it does.
    let (site, origin) = (&seen["otherSite"], &seen["otherOrigin"]);
    is("otherSite", site["status"] == 401 && site["cookie"] == false)?;
    is("otherOrigin", origin["status"] == 403 && origin["cookie"] == true)?;
    is("otherOrigin", origin["body"] == r#"{"error":"cross_site_request"}"#)?;
    is("planted", seen["planted"]["status"] == 401)?;
    is("planted", seen["planted"]["body"] == r#"{"error":"missing_sign_in"}"#)?;
    let empty = vec![json!({ "keys": [] }); SIGN_ID_TOKENS.len()];
    is("others", seen["others"] == json!(empty))?;
    let keys = seen["finally"]["keys"].as_array().ok_or("no keys")?;
    is("finally", keys.len() == 1 && keys[0]["name"] == "by hand")
}
