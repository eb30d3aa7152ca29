//! The device API: found, created, refreshed, and what happens when it misbehaves.

use crate::support::{BRIEF, Folder, credentials, http, plain_mock};
use kflow_delivery::device::{recall, remember};
use kflow_delivery::{
    Cause, Changes, Client, Creation, Device, DeviceApi, DeviceStanding, DeviceWatch, HttpConfig, Jitter,
    Moment, Outcome, Phase, Remedy, Selector, Trouble,
};
use kflow_mock::{Behaviour, Mock, Route};
use std::time::Duration;

const NOW: Moment = Moment(1 << 60);

fn api(mock: &Mock, config: &HttpConfig) -> DeviceApi {
    DeviceApi::new(&mock.api_url(), &credentials(), config).unwrap()
}

fn find(mock: &Mock, selector: &Selector) -> Result<Device, Trouble> {
    api(mock, &http()).find(selector, None)
}

fn creation(name: &str) -> Creation {
    Creation {
        name: name.into(),
        address: "198.51.100.9".parse().unwrap(),
        plan_id: 11,
        site_id: None,
        description: "made by a test".into(),
        sample_rate: 1,
    }
}

#[test]
fn a_device_is_found_by_number_address_name_and_interface() {
    let mock = plain_mock();
    let addresses = ["192.0.2.200", "2001:db8::1", "192.0.2.7"].map(|address| address.parse().unwrap());
    for selector in [
        Selector::Id(42),
        Selector::Address("192.0.2.7".parse().unwrap()),
        Selector::Name("sensor.example".into()),
        Selector::Interface { name: "eth0".into(), addresses: addresses.to_vec() },
    ] {
        let device = find(&mock, &selector).unwrap();
        assert_eq!((device.id, device.company_id, &device.name[..]), (42, 7, "sensor_example"), "{selector}");
        assert_eq!((device.sample_rate, device.flow_rate_max), (1, Some(4000)));
        let column = &device.columns[1];
        assert_eq!((column.id, &column.name[..], &column.kind[..]), (2887, "STR00", "string"));
    }
    let paths: Vec<String> = mock.requests().iter().map(|request| request.target.clone()).collect();
    let keys = ["42", "192.0.2.7", "sensor_example", "192.0.2.200", "2001%3Adb8%3A%3A1", "192.0.2.7"];
    assert_eq!(paths, keys.map(|key| format!("/api/internal/device/{key}")));
    assert_eq!(mock.faults(), Vec::<String>::new());
}

#[test]
fn flows_of_a_device_that_was_found_are_taken() {
    let mock = plain_mock();
    let device = find(&mock, &Selector::Id(42)).unwrap();
    let client = Client::new(&[mock.flow_url()], &credentials(), &http()).unwrap();
    let body = crate::support::gzip(&crate::support::message(1));
    let outcome = client.send(crate::support::FIRST, &crate::support::batch(&body), &device.identity(), None);
    assert_eq!(outcome, Outcome::Delivered);
}

#[test]
fn a_device_that_does_not_exist_is_told_with_what_was_looked_for() {
    let mock = plain_mock();
    for (selector, text) in [
        (Selector::Id(1), "device 1 does not exist"),
        (
            Selector::Interface { name: "eth9".into(), addresses: vec!["192.0.2.1".parse().unwrap()] },
            "a device with an address of interface eth9 does not exist",
        ),
        (
            Selector::Name("a.b".into()),
            "device \"a_b\" does not exist, and nothing says with what plan to create it",
        ),
    ] {
        let trouble = find(&mock, &selector).unwrap_err();
        assert_eq!((trouble.remedy(), &trouble.text[..]), (Remedy::LookUpDevice, text));
    }
}

#[test]
fn a_device_that_does_not_exist_is_created_and_looked_up_by_its_number() {
    for selector in
        [Selector::Name("edge.example".into()), Selector::Address("198.51.100.9".parse().unwrap())]
    {
        let mock = plain_mock();
        let device = api(&mock, &http()).find(&selector, Some(&creation("edge.example"))).unwrap();
        assert_eq!((device.id, &device.name[..]), (43, "edge_example"));
        let calls: Vec<(String, String)> =
            mock.requests().iter().map(|request| (request.method.clone(), request.target.clone())).collect();
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[1], ("POST".into(), "/api/internal/device/".into()));
        assert_eq!(calls[2], ("GET".into(), "/api/internal/device/43".into()));
        assert_eq!((mock.faults(), mock.connections()), (Vec::new(), 1));
    }
}

#[test]
fn a_device_named_by_number_or_interface_is_not_created() {
    let mock = plain_mock();
    for selector in [Selector::Id(1), Selector::Interface { name: "eth0".into(), addresses: Vec::new() }] {
        let trouble = api(&mock, &http()).find(&selector, Some(&creation("x"))).unwrap_err();
        assert_eq!(trouble.remedy(), Remedy::LookUpDevice);
    }
    assert!(mock.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn a_creation_has_to_be_answered_by_201() {
    let mock = plain_mock();
    mock.script(
        Route::Api,
        [Behaviour::status(404), Behaviour::status(200).with_body("{\"device\":{\"id\":\"1\"}}")],
    );
    let trouble = api(&mock, &http()).find(&Selector::Name("x".into()), Some(&creation("x"))).unwrap_err();
    assert_eq!((trouble.cause, trouble.remedy()), (Cause::Status(200), Remedy::CheckUrl));
}

#[test]
fn wrong_credentials_are_not_taken_for_an_unknown_device() {
    let mock = plain_mock();
    let mut account = credentials();
    account.email = "other@example.com".into();
    let api = DeviceApi::new(&mock.api_url(), &account, &http()).unwrap();
    let trouble = api.find(&Selector::Name("x".into()), Some(&creation("x"))).unwrap_err();
    assert_eq!(trouble.remedy(), Remedy::CheckCredentials);
    assert_eq!(mock.requests().len(), 1);
}

#[test]
fn answers_that_are_no_device_are_malformed() {
    let mock = plain_mock();
    let huge = format!("{{\"device\":{{\"id\":1,\"padding\":\"{}\"}}}}", "x".repeat(2 << 20));
    for (body, text) in [
        ("<html>login</html>", "no device: expected value"),
        ("{\"device\":{\"id\":\"4", "no device: EOF"),
        ("{\"devices\":[]}", "no device: missing field `device`"),
        ("{\"device\":{\"id\":\"many\"}}", "no device: invalid value: string \"many\""),
        (&huge, "the answer is longer than 1048576 bytes"),
    ] {
        mock.script(Route::Api, [Behaviour::status(200).with_body(body)]);
        let trouble = find(&mock, &Selector::Id(42)).unwrap_err();
        assert_eq!((trouble.cause, trouble.remedy()), (Cause::Malformed, Remedy::Retry));
        assert!(trouble.text.starts_with(text), "{trouble}");
    }
}

#[test]
fn an_answer_that_comes_drop_by_drop_is_given_up() {
    let mock = plain_mock();
    mock.script(Route::Api, [Behaviour::Drip { status: 200, pause: Duration::from_millis(5) }]);
    let mut config = http();
    config.timeouts.body = BRIEF;
    let trouble = api(&mock, &config).find(&Selector::Id(42), None).unwrap_err();
    assert_eq!(trouble.cause, Cause::Timeout(Phase::Body));
}

#[test]
fn redirects_of_the_api_are_not_followed() {
    let (mock, other) = (plain_mock(), plain_mock());
    mock.script(Route::Api, [Behaviour::redirect(&(other.api_url() + "/device/42"))]);
    let trouble = find(&mock, &Selector::Id(42)).unwrap_err();
    assert_eq!((trouble.remedy(), other.connections()), (Remedy::CheckUrl, 0));
}

#[test]
fn a_refresh_tells_what_has_changed_and_survives_a_device_that_is_gone() {
    let mock = plain_mock();
    let api = api(&mock, &http());
    let mut watch = DeviceWatch::looking(None);
    let mut refresh = || {
        let changes = watch.take(api.find(&Selector::Id(42), None), NOW, Jitter(0));
        (changes, watch.standing().clone(), watch.device().cloned())
    };
    let (changes, standing, first) = refresh();
    assert!(changes.identity && standing == DeviceStanding::Current);
    mock.change_devices(|devices| {
        devices[0].sample_rate = 100;
        devices[0].max_flow_rate = 10;
        devices[0].columns.pop();
    });
    let (changes, _, second) = refresh();
    assert_eq!(changes, Changes { identity: false, sample_rate: true, flow_rate_max: true, columns: true });
    assert_eq!(second.as_ref().unwrap().sample_rate, 100);
    assert_ne!(first, second);
    mock.change_devices(Vec::clear);
    let (changes, standing, third) = refresh();
    assert!(!changes.any());
    assert_eq!(third, second);
    assert_eq!(standing, DeviceStanding::Gone { since: NOW, text: "device 42 does not exist".into() });
}

#[test]
fn a_start_without_the_api_uses_the_device_of_the_last_time() {
    let folder = Folder::new("device");
    let path = folder.path().join("device.json");
    let mock = plain_mock();
    let key = format!("{} {}", mock.api_url(), Selector::Id(42));
    remember(&path, &key, &find(&mock, &Selector::Id(42)).unwrap()).unwrap();
    mock.usually(Route::Api, Behaviour::status(503));
    let mut watch = DeviceWatch::looking(recall(&path, &key).unwrap());
    assert_eq!(watch.standing(), &DeviceStanding::Remembered);
    watch.take(find(&mock, &Selector::Id(42)), NOW, Jitter(0));
    assert!(matches!(watch.standing(), DeviceStanding::Stale { since: NOW, .. }));
    assert_eq!(watch.device().unwrap().id, 42);
}
