//! A thousand requests a minute for a workspace; six hundred failures for an address.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::*;

/// Requests in flight at a time.
const LANES: usize = 8;

/// Sends `count` requests, each with the key whose turn it is.
async fn drive(convotic: &Convotic, keys: &[&str], count: usize) -> Vec<Answer> {
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let client = convotic.client.clone();
        let turns: Vec<String> =
            (lane..count).step_by(LANES).map(|turn| keys[turn % keys.len()].to_owned()).collect();
        lanes.spawn(async move {
            let mut answers = Vec::new();
            for key in turns {
                answers.push(client.get("/v1/contacts").header("x-api-key", key).send().await);
            }
            answers
        });
    }
    lanes.join_all().await.into_iter().flatten().collect()
}

/// What did not fit into a minute is tried again with a whole one.
async fn from_its_beginning(attempt: u32) {
    if attempt > 0 {
        support::room_in_window(60, 60).await;
    }
}

fn resets(answers: &[Answer]) -> BTreeSet<u64> {
    answers.iter().map(|answer| answer.number("x-ratelimit-reset")).collect()
}

#[tokio::test]
async fn the_keys_of_a_workspace_share_a_thousand_requests_a_minute() {
    let convotic = Convotic::production();
    // A minute that ends in between is tried again, in a workspace that has used nothing.
    for attempt in 0..3 {
        from_its_beginning(attempt).await;
        let session = convotic.session_in(&format!("busy-{attempt}")).await;
        let one = convotic.create_key(&session, "one").await.text;
        let two = convotic.create_key(&session, "two").await.text;
        let start = now();
        let answers = drive(&convotic, &[&one, &two], 1001).await;
        let end = now();
        if resets(&answers).len() == 1 {
            assert_one_over(&answers, start..=end);
            return assert_others_are_free(&convotic, &answers).await;
        }
    }
    panic!("1001 requests never fit into a minute");
}

/// One of the 1001 was refused; the others count down from 999 to 0.
fn assert_one_over(answers: &[Answer], sent: std::ops::RangeInclusive<u64>) {
    let (served, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::OK);
    answers.iter().for_each(|answer| assert_counted(answer));
    let left: BTreeSet<_> = served.iter().map(|a| a.number("x-ratelimit-remaining")).collect();
    assert_eq!(served.len(), 1000);
    assert_eq!(left, (0..1000).collect());

    let [refused] = refused[..] else { panic!("{} were refused", refused.len()) };
    assert_refused(refused, 429, "rate_limit_exceeded");
    assert_eq!(refused.number("x-ratelimit-remaining"), 0);
    let wait = refused.number("retry-after");
    let reset = refused.number("x-ratelimit-reset");
    let waits = reset.saturating_sub(*sent.end()).max(1)..=(reset - sent.start());
    assert!(waits.contains(&wait), "{wait} is not in {waits:?}");
}

/// Who waits for the busy workspace keeps nobody else from calling.
async fn assert_others_are_free(convotic: &Convotic, busy: &[Answer]) {
    let answer = convotic.contacts_with(convotic.key().await.text).await;
    assert_eq!(answer.status, StatusCode::OK);
    if resets(std::slice::from_ref(&answer)) == resets(busy) {
        assert_eq!(answer.number("x-ratelimit-remaining"), 999);
    }
}

#[tokio::test]
async fn each_request_takes_one_from_what_remains() {
    let convotic = Convotic::production();
    for attempt in 0..3 {
        from_its_beginning(attempt).await;
        let session = convotic.session_in(&format!("steady-{attempt}")).await;
        let key = convotic.create_key(&session, "steady").await.text;
        let call = |path| convotic.client.get(path).header("x-api-key", &key);
        let mut answers = Vec::new();
        // What is refused behind the count counts: billing, and paths that do not exist.
        for path in ["/v1/info", "/v1/contacts", "/v1/billing", "/v1/nothing-here", "/v1/info"] {
            answers.push(call(path).send().await);
            // What is refused before it does not, and neither does the dashboard.
            convotic.contacts().send().await;
            convotic.contacts_with("cvtk_live_nonsense").await;
            convotic.contacts().header("x-api-key", &key).header("x-api-key", &key).send().await;
            convotic.keys(&session).await;
        }
        if resets(&answers).len() == 1 {
            let left: Vec<_> = answers.iter().map(|a| a.number("x-ratelimit-remaining")).collect();
            assert_eq!(left, [999, 998, 997, 996, 995]);
            return;
        }
    }
    panic!("five requests never fit into a minute");
}

#[tokio::test]
async fn the_dashboard_neither_counts_nor_is_counted() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let list = convotic.client.get("/dashboard/api-keys").header("cookie", &session);
    assert_uncounted(&list.send().await);
    assert_uncounted(&convotic.client.post("/auth/demo").send().await);
}

#[tokio::test]
async fn an_address_may_fail_six_hundred_times_a_minute() {
    for attempt in 0..3 {
        let convotic = Convotic::production();
        let session = convotic.sign_in().await;
        let key = convotic.create_key(&session, "honest").await.text;
        from_its_beginning(attempt).await;
        let minute = now() / 60;
        // The dashboard's failures and those without a credential: the former count, not the latter.
        let forged =
            convotic.client.get("/dashboard/api-keys").header("cookie", "__Host-session=a.b.c");
        assert_refused(&forged.send().await, 401, "invalid_session");
        assert_refused(&convotic.contacts().send().await, 401, "missing_api_key");

        let answers = drive(&convotic, &["cvtk_live_nonsense"], 600).await;
        let honest = convotic.contacts_with(&key).await;
        let missing = convotic.contacts().send().await;
        let keys =
            convotic.client.get("/dashboard/api-keys").header("cookie", &session).send().await;
        let forged =
            convotic.client.get("/dashboard/api-keys").header("cookie", "__Host-session=a.b.c");
        let forged = forged.send().await;
        if now() / 60 != minute {
            continue;
        }
        let (told, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == StatusCode::UNAUTHORIZED);
        told.iter().for_each(|answer| assert_refused(answer, 401, "invalid_api_key"));
        assert_eq!((told.len(), refused.len()), (599, 1));
        for refused in [refused[0], &forged] {
            assert_refused(refused, 429, "rate_limit_exceeded");
            assert!((1..=60).contains(&refused.number("retry-after")));
            assert_uncounted(refused);
        }
        assert_eq!(honest.status, StatusCode::OK);
        assert_eq!(keys.status, StatusCode::OK);
        assert_refused(&missing, 401, "missing_api_key");
        return;
    }
    panic!("600 requests never fit into a minute");
}
