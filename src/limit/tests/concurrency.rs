//! What runs at a time: exactly so many, and nothing is left behind.

use super::*;
use crate::limit::concurrency::{Busy, Concurrencies, Concurrency, Permits};
use crate::limit::{Standing, Standings};

fn gate(all: impl IntoIterator<Item = Concurrency>) -> Concurrencies {
    all.into_iter().fold(Concurrencies::default(), |gate, one| gate.with(one).unwrap())
}

fn enter(gate: &Concurrencies, caller: &Principal) -> Result<Permits, Duration> {
    match gate.enter(caller, noon(), &mut Standings::default()) {
        Ok(Ok(permits)) => Ok(permits),
        Ok(Err(_)) => panic!("nobody has to be asked"),
        Err(Busy::After(wait)) => Err(wait),
        Err(Busy::Unknown(error)) => panic!("{error}"),
    }
}

#[test]
fn so_many_run_and_one_more_when_one_has_ended() {
    let gate = gate([Concurrency::per_key(2).unwrap()]);
    let caller = key("k", "acme");
    let first = enter(&gate, &caller).unwrap();
    let second = enter(&gate, &caller).unwrap();
    assert_eq!(enter(&gate, &caller).unwrap_err(), Duration::from_secs(1));
    let other = enter(&gate, &key("other", "acme"));
    assert!(other.is_ok(), "another key has its own");
    drop(first);
    let third = enter(&gate, &caller).unwrap();
    assert!(enter(&gate, &caller).is_err());
    drop((second, third));
    assert!(enter(&gate, &caller).is_ok());
}

#[test]
fn keys_of_a_tenant_share() {
    let gate = gate([Concurrency::per_tenant(2).unwrap()]);
    let held = [enter(&gate, &key("k1", "acme")), enter(&gate, &token(Some("acme")))];
    assert!(held.iter().all(Result::is_ok));
    assert!(enter(&gate, &key("k2", "acme")).is_err());
    assert!(enter(&gate, &key("k1", "globex")).is_ok());
    let alone = [enter(&gate, &token(None)), enter(&gate, &token(None))];
    assert!(alone.iter().all(Result::is_ok));
    assert!(enter(&gate, &token(None)).is_err(), "one without a tenant has it for itself");
}

#[test]
fn a_plan_has_its_own_number() {
    let one = Concurrency::per_tenant(1).unwrap().plan("pro", 3).unwrap();
    let gate = gate([one.retry_after(Duration::from_secs(9))]);
    let pro = Principal::of_key(Arc::new(record("k", Tenant::new("acme").with_plan("pro"))));
    let held: Vec<_> = (0..3).map(|_| enter(&gate, &pro).unwrap()).collect();
    assert_eq!(enter(&gate, &pro).unwrap_err(), Duration::from_secs(9));
    assert!(enter(&gate, &key("k", "acme")).is_err(), "the tenant's three run");
    drop(held);
}

#[test]
fn all_let_run_or_none() {
    let wide = Concurrency::per_tenant(3).unwrap();
    let both = gate([wide.clone(), Concurrency::per_key(1).unwrap()]);
    let caller = key("k", "acme");
    let held = enter(&both, &caller).unwrap();
    for _ in 0..9 {
        assert!(enter(&both, &caller).is_err());
    }
    let wide = gate([wide]);
    let rest = [enter(&wide, &caller), enter(&wide, &caller)];
    assert!(rest.iter().all(Result::is_ok), "the refused ones run nowhere");
    assert!(enter(&wide, &caller).is_err());
    drop(held);
}

#[test]
fn a_standing_tells_how_many_more_may_run() {
    let gate = gate([Concurrency::per_key(2).unwrap()]);
    let caller = key("k", "acme");
    let mut all = Vec::new();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut standings = Standings::default();
        held.push(gate.enter(&caller, noon(), &mut standings).ok());
        all.extend(standings.as_slice().iter().cloned());
    }
    let told = |one: &Standing| (one.name.to_string(), one.limit, one.remaining, one.window);
    let expected = [1, 0, 0].map(|left| ("key-concurrency".to_owned(), 2, left, Duration::ZERO));
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn callers_that_run_nothing_take_no_memory() {
    let one = Concurrency::per_key(2).unwrap();
    let gate = gate([one.clone()]);
    let long = "x".repeat(5_000);
    let names: Vec<_> = (0..1_000).map(|n| key(&format!("{n}{long}"), "acme")).collect();
    let held: Vec<_> = names.iter().map(|caller| enter(&gate, caller).unwrap()).collect();
    assert_eq!(one.running().callers(), 1_000);
    drop(held);
    assert_eq!(one.running().callers(), 0);
}

#[test]
fn threads_never_run_more_than_may() {
    let gate = gate([Concurrency::per_tenant(3).unwrap()]);
    let (running, most) = (std::sync::atomic::AtomicU64::new(0), std::sync::Mutex::new(0));
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for index in 0..4 {
            let (gate, running, most) = (&gate, &running, &most);
            scope.spawn(move || {
                let caller = key(&format!("k{index}"), "acme");
                for _ in 0..5_000 {
                    let Ok(permits) = enter(gate, &caller) else { continue };
                    let now = running.fetch_add(1, order) + 1;
                    let mut most = most.lock().unwrap();
                    *most = now.max(*most);
                    drop(most);
                    running.fetch_sub(1, order);
                    drop(permits);
                }
            });
        }
    });
    assert!((1..=3).contains(&*most.lock().unwrap()));
    let last: Vec<_> = (0..3).map(|_| enter(&gate, &key("k", "acme")).unwrap()).collect();
    drop(last);
}

#[test]
fn a_poisoned_lock_lets_nobody_in_and_everybody_out() {
    let one = Concurrency::per_key(1).unwrap();
    let gate = gate([one.clone()]);
    let caller = key("k", "acme");
    let held = enter(&gate, &caller).unwrap();
    one.running().poison();
    let entered = gate.enter(&caller, noon(), &mut Standings::default());
    assert!(matches!(entered, Err(Busy::Unknown(_))));
    drop(held);
    assert_eq!(one.running().callers(), 0);
}

#[test]
fn what_can_never_work_is_refused_at_start() {
    assert!(Concurrency::per_key(0).is_err());
    assert!(Concurrency::per_tenant((1 << 32) + 1).is_err());
    assert!(Concurrency::per_tenant(1).unwrap().plan("none", 0).is_err());
    assert!(Concurrency::per_tenant(1).unwrap().name("a\"b").is_err());
    let one = || Concurrency::per_tenant(1).unwrap();
    let error = gate([one()]).with(one()).unwrap_err().to_string();
    assert!(error.contains("Concurrency::name"), "{error}");
    let nine = (0..9).try_fold(Concurrencies::default(), |gate, n| {
        gate.with(one().name(n.to_string()).unwrap())
    });
    assert!(nine.unwrap_err().to_string().contains("at most 8"));
}
