use super::*;
use crate::outcome::RetryAfter;
use proptest::prelude::*;

const FIRST: EndpointId = EndpointId(0);
const SECOND: EndpointId = EndpointId(1);
const NO_JITTER: Jitter = Jitter(0);

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000_000)
}

fn failed(cause: Cause) -> Outcome {
    Outcome::Failed(Trouble { cause, text: String::new(), retry_after: None })
}

fn answered(status: u16) -> Outcome {
    failed(Cause::Status(status))
}

fn asked_to_wait(status: u16, retry_after: RetryAfter) -> Outcome {
    Outcome::Failed(Trouble {
        cause: Cause::Status(status),
        text: String::new(),
        retry_after: Some(retry_after),
    })
}

fn policy(endpoints: usize) -> Policy {
    Policy::new(RetryConfig::default(), endpoints)
}

#[test]
fn a_delivered_batch_is_acknowledged_and_the_next_goes_at_once() {
    let mut policy = policy(1);
    assert_eq!(policy.turn(at(0)), Turn::Send(FIRST));
    assert_eq!(policy.next(FIRST, &Outcome::Delivered, at(1), NO_JITTER), Action::Acknowledge);
    assert_eq!(policy.turn(at(1)), Turn::Send(FIRST));
    assert_eq!(policy.standing(), &Standing::Delivering);
}

#[test]
fn waits_double_up_to_their_bound_and_start_anew_after_success() {
    let mut policy = policy(1);
    let mut now = at(1000);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(policy.next(FIRST, &answered(503), now, Jitter(u64::MAX)), Action::TryAgain);
        let Turn::Wait(until) = policy.turn(now) else { panic!("no wait") };
        // With the largest of jitters the wait is whole, but for a nanosecond or two.
        assert_eq!(until.since(now).as_nanos().div_ceil(10), Duration::from_secs(seconds).as_nanos() / 10);
        now = until;
        assert_eq!(policy.turn(now), Turn::Send(FIRST));
    }
    policy.next(FIRST, &Outcome::Delivered, now, NO_JITTER);
    policy.next(FIRST, &answered(503), now, NO_JITTER);
    assert_eq!(policy.turn(now), Turn::Wait(now.plus(Duration::from_millis(500))));
}

#[test]
fn retry_after_prolongs_the_wait_but_not_without_end() {
    let wait = |outcome: &Outcome| {
        let mut policy = policy(1);
        policy.next(FIRST, outcome, at(1000), NO_JITTER);
        match policy.turn(at(1000)) {
            Turn::Wait(until) => until.since(at(1000)).as_secs(),
            Turn::Send(_) => 0,
        }
    };
    assert_eq!(wait(&asked_to_wait(429, RetryAfter::Delay(Duration::from_secs(120)))), 120);
    assert_eq!(wait(&asked_to_wait(503, RetryAfter::At(at(1090)))), 90);
    assert_eq!(wait(&asked_to_wait(429, RetryAfter::Delay(Duration::from_secs(1 << 40)))), 3600);
    // A date that is over asks for no pause; the back-off stays.
    let mut policy = policy(1);
    policy.next(FIRST, &asked_to_wait(503, RetryAfter::At(at(10))), at(1000), NO_JITTER);
    assert_eq!(policy.turn(at(1000)), Turn::Wait(at(1000).plus(Duration::from_millis(500))));
}

#[test]
fn refused_credentials_are_tried_slowly_and_the_standing_says_so() {
    let mut policy = policy(1);
    assert_eq!(policy.next(FIRST, &answered(401), at(5), NO_JITTER), Action::TryAgain);
    assert_eq!(policy.turn(at(5)), Turn::Wait(at(155)));
    assert_eq!(policy.next(FIRST, &answered(403), at(155), NO_JITTER), Action::TryAgain);
    let Standing::Failing { since, remedy, trouble } = policy.standing() else { panic!("not failing") };
    assert_eq!((*since, *remedy), (at(5), Remedy::CheckCredentials));
    assert_eq!(trouble.to_string(), "the server answered 403");
}

#[test]
fn an_unknown_device_is_looked_up_once_at_once_and_then_slowly() {
    let mut policy = policy(1);
    assert_eq!(policy.next(FIRST, &answered(404), at(5), NO_JITTER), Action::LookUpDevice);
    assert_eq!(policy.turn(at(5)), Turn::Send(FIRST));
    assert_eq!(policy.next(FIRST, &answered(404), at(5), NO_JITTER), Action::TryAgain);
    assert_eq!(policy.turn(at(5)), Turn::Wait(at(155)));
    assert_eq!(policy.next(FIRST, &answered(404), at(155), NO_JITTER), Action::LookUpDevice);
}

#[test]
fn a_rejected_batch_is_given_back_and_does_not_hold_up_the_next() {
    for status in [400, 413, 415, 422] {
        let mut policy = policy(1);
        let action = policy.next(FIRST, &answered(status), at(5), NO_JITTER);
        assert_eq!(action, Action::GiveBack(GivenBack::Rejected));
        assert_eq!(policy.turn(at(5)), Turn::Send(FIRST));
    }
}

#[test]
fn a_batch_is_given_back_when_its_attempts_are_spent() {
    let mut policy = Policy::new(RetryConfig { attempts_max: Some(2), ..RetryConfig::default() }, 1);
    for _ in 0..2 {
        assert_eq!(policy.next(FIRST, &failed(Cause::Connect), at(5), NO_JITTER), Action::TryAgain);
        assert_eq!(policy.attempts(), 1);
        let action = policy.next(FIRST, &failed(Cause::Connect), at(9), NO_JITTER);
        assert_eq!(action, Action::GiveBack(GivenBack::AttemptsSpent));
        assert_eq!(policy.attempts(), 0);
    }
}

#[test]
fn a_connection_that_broke_while_it_was_kept_is_made_anew_at_once_but_once() {
    let mut policy = policy(1);
    policy.next(FIRST, &Outcome::Delivered, at(1), NO_JITTER);
    policy.next(FIRST, &failed(Cause::Broken), at(2), NO_JITTER);
    assert_eq!(policy.turn(at(2)), Turn::Send(FIRST));
    policy.next(FIRST, &failed(Cause::Broken), at(2), NO_JITTER);
    assert!(matches!(policy.turn(at(2)), Turn::Wait(_)));
}

#[test]
fn the_next_endpoint_takes_over_at_once_and_keeps_the_flow() {
    let mut policy = policy(2);
    policy.next(FIRST, &failed(Cause::Connect), at(0), NO_JITTER);
    assert_eq!(policy.turn(at(0)), Turn::Send(SECOND));
    policy.next(SECOND, &Outcome::Delivered, at(0), NO_JITTER);
    // The first one's back-off is long over, but the second works.
    assert_eq!(policy.turn(at(299)), Turn::Send(SECOND));
}

#[test]
fn the_preferred_endpoint_is_tried_again_after_a_while() {
    let mut policy = policy(2);
    policy.next(FIRST, &failed(Cause::Connect), at(0), NO_JITTER);
    assert_eq!(policy.turn(at(0)), Turn::Send(SECOND));
    policy.next(SECOND, &Outcome::Delivered, at(0), NO_JITTER);
    assert_eq!(policy.turn(at(300)), Turn::Send(FIRST));
    // It still fails: the second goes on without a wait, and for as long again.
    policy.next(FIRST, &failed(Cause::Connect), at(300), NO_JITTER);
    assert_eq!(policy.turn(at(300)), Turn::Send(SECOND));
    policy.next(SECOND, &Outcome::Delivered, at(300), NO_JITTER);
    assert_eq!(policy.turn(at(599)), Turn::Send(SECOND));
    assert_eq!(policy.turn(at(600)), Turn::Send(FIRST));
    policy.next(FIRST, &Outcome::Delivered, at(600), NO_JITTER);
    assert_eq!(policy.turn(at(601)), Turn::Send(FIRST));
}

#[test]
fn with_all_endpoints_down_the_first_that_is_ready_is_waited_for() {
    let mut policy = policy(2);
    policy.next(FIRST, &asked_to_wait(503, RetryAfter::Delay(Duration::from_secs(50))), at(0), NO_JITTER);
    assert_eq!(policy.turn(at(0)), Turn::Send(SECOND));
    policy.next(SECOND, &asked_to_wait(503, RetryAfter::Delay(Duration::from_secs(20))), at(0), NO_JITTER);
    assert_eq!(policy.turn(at(0)), Turn::Wait(at(20)));
    assert_eq!(policy.turn(at(20)), Turn::Send(SECOND));
}

proptest! {
    /// Whatever the outcomes: no wait is longer than the bounds allow, waiting until then is enough to get a turn,
    /// and a batch ends exactly when it is acknowledged or given back.
    #[test]
    fn waits_are_bounded_and_always_end(
        steps in prop::collection::vec((0_u16..9, any::<u64>(), 0_u64..10_000), 1..200),
        endpoints in 1_usize..4,
    ) {
        let mut policy = policy(endpoints);
        let mut now = at(1_000_000);
        for (kind, jitter, seconds) in steps {
            let endpoint = match policy.turn(now) {
                Turn::Send(endpoint) => endpoint,
                Turn::Wait(until) => {
                    prop_assert!(until > now && until.since(now) <= Duration::from_secs(3600 + 450));
                    now = until;
                    let Turn::Send(endpoint) = policy.turn(now) else { panic!("waited in vain") };
                    endpoint
                }
            };
            let outcome = match kind {
                0 => Outcome::Delivered,
                1 => failed(Cause::Broken),
                2 => failed(Cause::Connect),
                3 => answered(401),
                4 => answered(404),
                5 => answered(422),
                6 => answered(302),
                7 => asked_to_wait(429, RetryAfter::Delay(Duration::from_secs(seconds))),
                _ => asked_to_wait(503, RetryAfter::At(at(1_000_000 + seconds))),
            };
            let action = policy.next(endpoint, &outcome, now, Jitter(jitter));
            let ended = matches!(action, Action::Acknowledge | Action::GiveBack(_));
            prop_assert_eq!(ended, kind == 0 || kind == 5);
            prop_assert_eq!(policy.attempts() == 0, ended);
        }
    }
}
