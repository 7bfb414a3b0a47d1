//! When a server is given up, and when not.

use crate::limit::redis::circuit::Circuit;

#[test]
fn it_opens_after_three_failures_in_a_row_and_tells_one_to_probe() {
    let circuit = Circuit::default();
    let probes = (0..10).filter(|_| circuit.fail()).count();
    assert!(circuit.is_open());
    assert_eq!(probes, 1);
}

#[test]
fn an_answer_in_between_starts_the_count_again() {
    let circuit = Circuit::default();
    for _ in 0..10 {
        assert!(!circuit.fail() && !circuit.fail());
        circuit.succeed();
    }
    assert!(!circuit.is_open());
}

#[test]
fn a_late_answer_closes_nothing_but_a_probe_does() {
    let circuit = Circuit::default();
    let _ = (circuit.fail(), circuit.fail(), circuit.fail());
    circuit.succeed();
    assert!(circuit.is_open());
    circuit.close();
    assert!(!circuit.is_open());
    assert!(!circuit.fail(), "and counts from the beginning");
}
