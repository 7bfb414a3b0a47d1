//! Every kind of refusal in every form, written out: status, headers, body.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::{HeaderValue, Response};
use keygate::RejectionKind::{self, *};
use keygate::render::{Challenge, Refusals, Scheme, Wire};
use keygate::{Envelope, Problem, Rejection, Render, Rendered, Standings};

struct Row {
    kind: RejectionKind,
    status: u16,
    challenge: &'static [&'static str],
    retry_after: Option<&'static str>,
    g_tateth: &'static str,
    convotic: &'static str,
    nested: &'static str,
    problem: &'static str,
    grpc: (&'static str, &'static str),
}

const NONE: &[&str] = &[];
const BAD: &[&str] = &[
    r#"Bearer realm="kg", error="invalid_token", error_description="The credential is invalid, expired or inactive""#,
    r#"ApiKey realm="kg""#,
];

const TABLE: [Row; 16] = [
    Row {
        kind: AddressDenied,
        status: 403,
        challenge: NONE,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"This address may not use the credential","code":"IP_NOT_ALLOWED"}"#,
        convotic: r#"{"error":"insufficient_permissions"}"#,
        nested: r#"{"error":{"code":"ADDRESS_DENIED","message":"This address may not use the credential"}}"#,
        problem: r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"This address may not use the credential","code":"address_denied"}"#,
        grpc: ("7", "This address may not use the credential"),
    },
    Row {
        kind: AmbiguousCredential,
        status: 400,
        challenge: &[
            r#"Bearer realm="kg", error="invalid_request", error_description="More than one credential in the request""#,
        ],
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"More than one credential in the request","code":"AUTH_AMBIGUOUS"}"#,
        convotic: r#"{"error":"ambiguous_credentials"}"#,
        nested: r#"{"error":{"code":"AMBIGUOUS_CREDENTIAL","message":"More than one credential in the request"}}"#,
        problem: r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"More than one credential in the request","code":"ambiguous_credential"}"#,
        grpc: ("3", "More than one credential in the request"),
    },
    Row {
        kind: CrossSite,
        status: 403,
        challenge: NONE,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"Cross-site request refused","code":"CROSS_SITE_REQUEST"}"#,
        convotic: r#"{"error":"cross_site_request"}"#,
        nested: r#"{"error":{"code":"CROSS_SITE","message":"Cross-site request refused"}}"#,
        problem: r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"Cross-site request refused","code":"cross_site"}"#,
        grpc: ("7", "Cross-site request refused"),
    },
    Row {
        kind: InsufficientScope,
        status: 403,
        challenge: &[
            r#"Bearer realm="kg", error="insufficient_scope", scope="read:customers write:customers""#,
        ],
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The credential lacks a required scope","code":"INSUFFICIENT_PERMISSIONS"}"#,
        convotic: r#"{"error":"insufficient_permissions"}"#,
        nested: r#"{"error":{"code":"INSUFFICIENT_SCOPE","message":"The credential lacks a required scope"}}"#,
        problem: r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"The credential lacks a required scope","code":"insufficient_scope"}"#,
        grpc: ("7", "The credential lacks a required scope"),
    },
    Row {
        kind: InvalidPath,
        status: 400,
        challenge: NONE,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The path is ambiguous","code":"INVALID_PATH"}"#,
        convotic: r#"{"error":"invalid_path"}"#,
        nested: r#"{"error":{"code":"INVALID_PATH","message":"The path is ambiguous"}}"#,
        problem: r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"The path is ambiguous","code":"invalid_path"}"#,
        grpc: ("3", "The path is ambiguous"),
    },
    Row {
        kind: KeyExpired,
        status: 401,
        challenge: BAD,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The API key has expired","code":"API_KEY_EXPIRED"}"#,
        convotic: r#"{"error":"invalid_api_key"}"#,
        nested: r#"{"error":{"code":"KEY_EXPIRED","message":"The API key has expired"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The API key has expired","code":"key_expired"}"#,
        grpc: ("16", "The API key has expired"),
    },
    Row {
        kind: KeyInactive,
        status: 401,
        challenge: BAD,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The API key is inactive","code":"API_KEY_INACTIVE"}"#,
        convotic: r#"{"error":"invalid_api_key"}"#,
        nested: r#"{"error":{"code":"KEY_INACTIVE","message":"The API key is inactive"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The API key is inactive","code":"key_inactive"}"#,
        grpc: ("16", "The API key is inactive"),
    },
    Row {
        kind: KeyInvalid,
        status: 401,
        challenge: BAD,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"Invalid or expired API key","code":"API_KEY_INVALID"}"#,
        convotic: r#"{"error":"invalid_api_key"}"#,
        nested: r#"{"error":{"code":"KEY_INVALID","message":"Invalid API key"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Invalid API key","code":"key_invalid"}"#,
        grpc: ("16", "Invalid API key"),
    },
    Row {
        kind: MissingCredential,
        status: 401,
        challenge: &[r#"Bearer realm="kg""#, r#"ApiKey realm="kg""#],
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"Authentication required","code":"AUTH_REQUIRED"}"#,
        convotic: r#"{"error":"missing_api_key"}"#,
        nested: r#"{"error":{"code":"MISSING_CREDENTIAL","message":"Authentication required"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Authentication required","code":"missing_credential"}"#,
        grpc: ("16", "Authentication required"),
    },
    Row {
        kind: NotPermitted,
        status: 403,
        challenge: NONE,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The credential may not reach this resource","code":"INSUFFICIENT_PERMISSIONS"}"#,
        convotic: r#"{"error":"insufficient_permissions"}"#,
        nested: r#"{"error":{"code":"NOT_PERMITTED","message":"The credential may not reach this resource"}}"#,
        problem: r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"The credential may not reach this resource","code":"not_permitted"}"#,
        grpc: ("7", "The credential may not reach this resource"),
    },
    Row {
        kind: RateLimited,
        status: 429,
        challenge: NONE,
        retry_after: Some("3600"),
        g_tateth: r#"{"success":false,"error":"Rate limit exceeded","code":"RATE_LIMIT_EXCEEDED","retryAfter":3600}"#,
        convotic: r#"{"error":"rate_limit_exceeded"}"#,
        nested: r#"{"error":{"code":"RATE_LIMITED","message":"Rate limit exceeded"}}"#,
        problem: r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"detail":"Rate limit exceeded","code":"rate_limited"}"#,
        grpc: ("8", "Rate limit exceeded"),
    },
    Row {
        kind: TenantSuspended,
        status: 401,
        challenge: BAD,
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The tenant is suspended","code":"TENANT_SUSPENDED"}"#,
        convotic: r#"{"error":"invalid_api_key"}"#,
        nested: r#"{"error":{"code":"TENANT_SUSPENDED","message":"The tenant is suspended"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The tenant is suspended","code":"tenant_suspended"}"#,
        grpc: ("16", "The tenant is suspended"),
    },
    Row {
        kind: TokenExpired,
        status: 401,
        challenge: &[
            r#"Bearer realm="kg", error="invalid_token", error_description="The token has expired""#,
            r#"ApiKey realm="kg""#,
        ],
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"The token has expired","code":"AUTH_EXPIRED"}"#,
        convotic: r#"{"error":"session_expired"}"#,
        nested: r#"{"error":{"code":"TOKEN_EXPIRED","message":"The token has expired"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The token has expired","code":"token_expired"}"#,
        grpc: ("16", "The token has expired"),
    },
    Row {
        kind: TokenInvalid,
        status: 401,
        challenge: &[
            r#"Bearer realm="kg", error="invalid_token", error_description="Invalid token""#,
            r#"ApiKey realm="kg""#,
        ],
        retry_after: None,
        g_tateth: r#"{"success":false,"error":"Invalid token","code":"AUTH_INVALID"}"#,
        convotic: r#"{"error":"invalid_session"}"#,
        nested: r#"{"error":{"code":"TOKEN_INVALID","message":"Invalid token"}}"#,
        problem: r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Invalid token","code":"token_invalid"}"#,
        grpc: ("16", "Invalid token"),
    },
    Row {
        kind: TooManyFailures,
        status: 429,
        challenge: NONE,
        retry_after: Some("3600"),
        g_tateth: r#"{"success":false,"error":"Too many failed authentications","code":"RATE_LIMIT_EXCEEDED","retryAfter":3600}"#,
        convotic: r#"{"error":"rate_limit_exceeded"}"#,
        nested: r#"{"error":{"code":"TOO_MANY_FAILURES","message":"Too many failed authentications"}}"#,
        problem: r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many failed authentications","code":"too_many_failures"}"#,
        grpc: ("8", "Too many failed authentications"),
    },
    Row {
        kind: Unavailable,
        status: 503,
        challenge: NONE,
        retry_after: Some("5"),
        g_tateth: r#"{"success":false,"error":"Service temporarily unavailable","code":"SERVICE_UNAVAILABLE"}"#,
        convotic: r#"{"error":"service_unavailable"}"#,
        nested: r#"{"error":{"code":"UNAVAILABLE","message":"Service temporarily unavailable"}}"#,
        problem: r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Service temporarily unavailable","code":"unavailable"}"#,
        grpc: ("14", "Service temporarily unavailable"),
    },
];

/// What the gate would hand over: 429 with its wait, a missing scope with its name.
fn rejection(kind: RejectionKind) -> Rejection {
    let rejection = Rejection::new(kind);
    match kind {
        RateLimited | TooManyFailures => rejection.with_retry_after(Duration::from_secs(3600)),
        InsufficientScope => rejection.with_scopes("read:customers write:customers"),
        _ => rejection,
    }
}

fn refusals(render: impl Render) -> Refusals {
    let challenge = Challenge::new("kg").unwrap().offering(&[Scheme::Bearer, Scheme::ApiKey]);
    Refusals::new(render).challenge(challenge)
}

fn answer(refusals: &Refusals, kind: RejectionKind, wire: Wire) -> Response<bytes::Bytes> {
    refusals.respond(rejection(kind), &Standings::default(), wire)
}

/// All header lines, sorted, so that no line too many goes unseen.
fn lines(answer: &Response<bytes::Bytes>) -> Vec<String> {
    let line = |(name, value): (&http::HeaderName, &HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    let mut lines: Vec<_> = answer.headers().iter().map(line).collect();
    lines.sort();
    lines
}

fn expected_lines(row: &Row, own: &[String]) -> Vec<String> {
    let mut lines = own.to_vec();
    lines.push("cache-control: no-store".to_owned());
    lines.extend(row.challenge.iter().map(|line| format!("www-authenticate: {line}")));
    lines.extend(row.retry_after.map(|secs| format!("retry-after: {secs}")));
    lines.sort();
    lines
}

fn check(render: impl Render, content_type: &str, body: fn(&Row) -> &'static str) {
    let refusals = refusals(render);
    for row in &TABLE {
        for wire in [Wire::Http, Wire::Head] {
            let mut own = vec![format!("content-type: {content_type}")];
            if wire == Wire::Head {
                own.push(format!("content-length: {}", body(row).len()));
            }
            let expected = expected_lines(row, &own);
            let answer = answer(&refusals, row.kind, wire);
            assert_eq!(answer.status(), row.status, "{:?}", row.kind);
            assert_eq!(lines(&answer), expected, "{:?} {wire:?}", row.kind);
            let body = if wire == Wire::Head { "" } else { body(row) };
            assert_eq!(answer.body(), body, "{:?} {wire:?}", row.kind);
        }
    }
}

#[test]
fn the_table_holds_every_kind() {
    assert_eq!(TABLE.map(|row| row.kind), RejectionKind::ALL);
}

#[test]
fn g_tateth() {
    check(Envelope::g_tateth(), "application/json", |row| row.g_tateth);
}

#[test]
fn convotic() {
    check(Envelope::convotic(), "application/json", |row| row.convotic);
}

#[test]
fn nested() {
    check(Envelope::nested(), "application/json", |row| row.nested);
}

#[test]
fn problem() {
    check(Problem::new(), "application/problem+json", |row| row.problem);
}

#[test]
fn problem_is_the_default() {
    for row in &TABLE {
        let answer = answer(&Refusals::default(), row.kind, Wire::Http);
        assert_eq!(answer.body(), row.problem);
    }
}

#[test]
fn grpc() {
    let refusals = refusals(Problem::new());
    for row in &TABLE {
        let answer = answer(&refusals, row.kind, Wire::Grpc);
        let (status, message) = row.grpc;
        let mut own = vec![
            "content-type: application/grpc".to_owned(),
            format!("grpc-status: {status}"),
            format!("grpc-message: {message}"),
        ];
        own.extend(row.retry_after.map(|secs| format!("grpc-retry-pushback-ms: {secs}000")));
        let expected = expected_lines(row, &own);
        assert_eq!(answer.status(), 200, "{:?}", row.kind);
        assert_eq!(lines(&answer), expected, "{:?}", row.kind);
        assert_eq!(answer.body(), "");
    }
}

#[test]
fn grpc_says_no_more_than_the_envelope() {
    let refusals = refusals(Envelope::convotic());
    let alike = [KeyExpired, KeyInactive, KeyInvalid, TenantSuspended];
    let answers = alike.map(|kind| lines(&answer(&refusals, kind, Wire::Grpc)));
    assert!(answers[0].contains(&"grpc-message: invalid_api_key".to_owned()));
    assert!(answers.iter().all(|lines| *lines == answers[0]));
}

#[test]
fn convotic_answers_all_bad_keys_alike() {
    let refusals = refusals(Envelope::convotic());
    let alike = [KeyExpired, KeyInactive, KeyInvalid, TenantSuspended];
    let answers = alike.map(|kind| answer(&refusals, kind, Wire::Http));
    for other in &answers {
        assert_eq!(other.status(), answers[0].status());
        assert_eq!(lines(other), lines(&answers[0]));
        assert_eq!(other.body(), answers[0].body());
    }
}

#[test]
fn one_text_and_one_code_are_replaced_and_nothing_else() {
    let plain = Envelope::g_tateth();
    let other = Envelope::g_tateth().text(RateLimited, "Slow \"down\"\n").code(RateLimited, "SLOW");
    let body = |envelope: &Envelope, kind| envelope.render(&rejection(kind)).body().clone();
    assert_eq!(
        body(&other, RateLimited),
        r#"{"success":false,"error":"Slow \"down\"\n","code":"SLOW","retryAfter":3600}"#
    );
    for kind in RejectionKind::ALL.into_iter().filter(|kind| *kind != RateLimited) {
        assert_eq!(body(&other, kind), body(&plain, kind));
    }
}

#[test]
fn texts_and_codes_of_a_problem_are_replaced() {
    let problem = Problem::new().text(KeyInvalid, "Unbekannter Schlüssel").code(KeyInvalid, "E17");
    let rendered = problem.render(&Rejection::new(KeyInvalid));
    assert_eq!(
        rendered.body(),
        r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Unbekannter Schlüssel","code":"E17"}"#
    );
    let answer = answer(&refusals(problem), KeyInvalid, Wire::Grpc);
    assert_eq!(answer.headers()["grpc-message"], "Unbekannter Schl%C3%BCssel");
}

#[test]
fn a_replaced_text_stays_when_a_base_is_set_after_it() {
    let problem = Problem::new().text(RateLimited, "Slow").base("/errors#").unwrap();
    assert_eq!(
        problem.render(&rejection(RateLimited)).body(),
        r#"{"type":"/errors#rate_limited","title":"Slow","status":429,"detail":"Slow","code":"rate_limited"}"#
    );
}

#[test]
fn a_base_that_is_no_uri_is_refused() {
    for base in ["", "https://a b/", "https://ä/", "https://a/\r\n", "\"", "<a>", "a\\b"] {
        let error = Problem::new().base(base).unwrap_err();
        assert!(error.to_string().starts_with("invalid base of problem types"), "{base:?}");
    }
}

#[test]
fn every_problem_is_an_object_of_its_schema() {
    for kind in RejectionKind::ALL {
        let rendered = Problem::new().render(&Rejection::new(kind));
        let problem: serde_json::Value = serde_json::from_slice(rendered.body()).unwrap();
        assert_eq!(problem["status"], kind.status().as_u16());
        assert_eq!(problem["code"], kind.code());
        for member in problem.as_object().unwrap().keys() {
            assert!(member.len() >= 3 && member.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }
}

#[test]
fn a_closure_decides_the_body_and_nothing_else() {
    let html = |rejection: &Rejection| {
        let body = format!("<h1>{}</h1>", rejection.status());
        Rendered::new(HeaderValue::from_static("text/html"), body)
    };
    let answer = answer(&refusals(html), MissingCredential, Wire::Http);
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.body(), "<h1>401 Unauthorized</h1>");
    assert_eq!(
        lines(&answer),
        [
            "cache-control: no-store",
            "content-type: text/html",
            r#"www-authenticate: ApiKey realm="kg""#,
            r#"www-authenticate: Bearer realm="kg""#,
        ]
    );
}

#[test]
fn a_closure_may_wrap_an_envelope() {
    let envelope = Envelope::g_tateth();
    let shouting = move |rejection: &Rejection| {
        let rendered = envelope.render(rejection);
        Rendered::new(rendered.content_type().clone(), rendered.body().to_ascii_uppercase())
    };
    let answer = answer(&refusals(shouting), Unavailable, Wire::Http);
    assert!(answer.body().starts_with(br#"{"SUCCESS":FALSE,"ERROR":"SERVICE"#));
}

#[test]
fn bodies_that_do_not_vary_are_made_once() {
    let envelope = Envelope::convotic();
    let body = || envelope.render(&Rejection::new(RateLimited)).body().as_ptr();
    assert_eq!(body(), body());
    let problem = Problem::new();
    let body = || problem.render(&Rejection::new(KeyInvalid)).body().as_ptr();
    assert_eq!(body(), body());
}

#[test]
fn what_json_cannot_tell_is_an_empty_body() {
    let map = std::collections::HashMap::from([(vec![1], 1)]);
    assert_eq!(Rendered::json(&map).body(), "");
    assert_eq!(Rendered::text("plain").content_type(), "text/plain; charset=utf-8");
}
