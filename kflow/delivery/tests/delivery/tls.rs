//! TLS: whom the client trusts, what it shows, and what it says when there is no trust.

use crate::support::{AMPLE, BRIEF, Folder, client, credentials, http, send, trouble};
use kflow_delivery::{
    Cause, Client, ClientCertificate, Error, HttpConfig, Outcome, Phase, Remedy, TlsConfig,
};
use kflow_mock::{Authority, Behaviour, Certificate, Mock, MockConfig, Route, ServerTls};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

fn tls_mock(tls: ServerTls) -> Mock {
    Mock::start(MockConfig { tls: Some(tls), ..MockConfig::default() })
        .expect("a port of the loopback is free")
}

/// Trusts what `authority` signs.
fn trusting(authority: &Authority, folder: &Folder) -> HttpConfig {
    let ca_file = folder.file("ca.pem", &authority.certificate_pem());
    HttpConfig { tls: TlsConfig { ca_file: Some(ca_file), client_certificate: None }, ..http() }
}

fn showing(shown: &Certificate, folder: &Folder, config: HttpConfig) -> HttpConfig {
    let client_certificate = Some(ClientCertificate {
        certificate_file: folder.file("client.pem", &shown.certificate_pem),
        key_file: folder.file("client.key", &shown.key_pem),
    });
    HttpConfig { tls: TlsConfig { client_certificate, ..config.tls }, ..config }
}

/// An attempt at a server that shows `certificate`, by a client that trusts `authority`.
#[track_caller]
fn refused(certificate: &Certificate, authority: &Authority, name: &str) -> String {
    let folder = Folder::new(name);
    let mock = tls_mock(ServerTls::new(certificate));
    let trouble = trouble(send(&client(&mock.flow_url(), &trusting(authority, &folder))));
    assert_eq!((trouble.cause, trouble.remedy()), (Cause::Tls, Remedy::Retry), "{trouble}");
    assert!(mock.requests().is_empty(), "a request went to a server that is not trusted");
    trouble.text
}

#[test]
fn a_server_of_the_authority_in_the_file_is_trusted_and_its_connection_kept() {
    let (authority, folder) = (Authority::new(), Folder::new("trusted"));
    let mock = tls_mock(ServerTls::new(&authority.sign("localhost")));
    let client = client(&mock.flow_url(), &trusting(&authority, &folder));
    for _ in 0..5 {
        assert_eq!(send(&client), Outcome::Delivered);
    }
    assert_eq!((mock.connections(), mock.faults()), (1, Vec::new()));
}

#[test]
fn an_address_can_be_the_name_in_a_certificate() {
    let (authority, folder) = (Authority::new(), Folder::new("address"));
    let mock = tls_mock(ServerTls::new(&authority.sign("127.0.0.1")));
    let url = format!("https://{}/chf", mock.address());
    assert_eq!(send(&client(&url, &trusting(&authority, &folder))), Outcome::Delivered);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let text = refused(&Authority::new().sign("localhost"), &Authority::new(), "stranger");
    assert_eq!(text, "no authority that we trust signed the server's certificate");
}

#[test]
fn the_system_does_not_trust_an_authority_of_a_test() {
    let mock = tls_mock(ServerTls::new(&Authority::new().sign("localhost")));
    match Client::new(&[mock.flow_url()], &credentials(), &http()) {
        Ok(client) => assert_eq!(trouble(send(&client)).cause, Cause::Tls),
        Err(error) => eprintln!("this system has no authorities: {error}"),
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let text = refused(&authority.sign_expired("localhost"), &authority, "expired");
    assert_eq!(text, "the server's certificate has expired, or the clock of this machine is wrong");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let text = refused(&authority.sign("flow.example"), &authority, "other-host");
    assert_eq!(text, "the server's certificate is for another name");
}

#[test]
fn a_server_without_tls_is_refused() {
    let (authority, folder) = (Authority::new(), Folder::new("plain"));
    let mock = crate::support::plain_mock();
    let url = format!("https://{}/chf", mock.address());
    let trouble = trouble(send(&client(&url, &trusting(&authority, &folder))));
    assert!(matches!(trouble.cause, Cause::Tls | Cause::Broken), "{trouble}");
}

#[test]
fn a_handshake_that_does_not_go_on_is_given_up() {
    let (authority, folder) = (Authority::new(), Folder::new("silent"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/chf", listener.local_addr().unwrap());
    let mut config = trusting(&authority, &folder);
    config.timeouts.connect = BRIEF;
    // Connections wait in the backlog, and nobody answers.
    let trouble = trouble(send(&client(&url, &config)));
    assert_eq!(trouble.cause, Cause::Timeout(Phase::Connect));
}

#[test]
fn an_answer_that_comes_drop_by_drop_does_not_hold_us_with_tls_either() {
    let (authority, folder) = (Authority::new(), Folder::new("drip"));
    let mock = tls_mock(ServerTls::new(&authority.sign("localhost")));
    mock.usually(Route::Flow, Behaviour::DripHead { pause: Duration::from_millis(5) });
    let mut config = trusting(&authority, &folder);
    config.timeouts.answer = BRIEF;
    assert_eq!(trouble(send(&client(&mock.flow_url(), &config))).cause, Cause::Timeout(Phase::Answer));
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let (authority, folder) = (Authority::new(), Folder::new("client"));
    let mock = tls_mock(ServerTls::with_clients_of(&authority.sign("localhost"), &authority));
    let config = trusting(&authority, &folder);
    let without = trouble(send(&client(&mock.flow_url(), &config)));
    // The server's word may be lost when it closes while the request is still being written.
    assert!(matches!(without.cause, Cause::Tls | Cause::Broken), "{without}");
    let with = showing(&authority.sign("sensor"), &folder, config.clone());
    assert_eq!(send(&client(&mock.flow_url(), &with)), Outcome::Delivered);
    let stranger = showing(&Authority::new().sign("sensor"), &folder, config);
    let refused = trouble(send(&client(&mock.flow_url(), &stranger)));
    assert!(matches!(refused.cause, Cause::Tls | Cause::Broken), "{refused}");
    assert_eq!(mock.requests().len(), 1);
}

#[test]
fn files_that_cannot_be_used_are_named_when_the_client_is_made() {
    let (authority, folder) = (Authority::new(), Folder::new("files"));
    let made = |tls: TlsConfig| {
        let config = HttpConfig { tls, ..http() };
        Client::new(&["https://localhost/chf".to_owned()], &credentials(), &config).unwrap_err()
    };
    let ca_file = |path: &Path| TlsConfig { ca_file: Some(path.into()), client_certificate: None };
    let error = made(ca_file(Path::new("/nonexistent/ca.pem")));
    assert_eq!(error.to_string(), "cannot read /nonexistent/ca.pem");
    let error = made(ca_file(&folder.file("empty.pem", "no certificate\n")));
    assert!(error.to_string().ends_with("empty.pem holds no certificate authority"), "{error}");
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let error = made(ca_file(&folder.file("broken.pem", broken)));
    assert!(error.to_string().ends_with("broken.pem is damaged PEM"), "{error}");

    // The key of another certificate.
    let (one, other) = (authority.sign("sensor"), authority.sign("sensor"));
    let mixed = Certificate { certificate_pem: one.certificate_pem.clone(), key_pem: other.key_pem };
    let error = made(showing(&mixed, &folder, trusting(&authority, &folder)).tls);
    assert!(error.to_string().contains("do not go together"), "{error}");
    let keyless = Certificate { certificate_pem: one.certificate_pem.clone(), key_pem: one.certificate_pem };
    let error = made(showing(&keyless, &folder, trusting(&authority, &folder)).tls);
    assert!(error.to_string().contains("holds no private key"), "{error}");
    assert!(matches!(error, Error::Certificate { .. }));
}

#[test]
fn plain_http_needs_no_authorities() {
    let config = HttpConfig {
        tls: TlsConfig { ca_file: Some("/nonexistent/ca.pem".into()), client_certificate: None },
        ..http()
    };
    let mock = crate::support::plain_mock();
    assert_eq!(send(&client(&mock.flow_url(), &config)), Outcome::Delivered);
}

#[test]
fn no_byte_of_the_token_is_sent_before_the_server_is_trusted() {
    let (authority, folder) = (Authority::new(), Folder::new("early"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/chf", listener.local_addr().unwrap());
    let mut config = trusting(&authority, &folder);
    config.timeouts.connect = BRIEF;
    let server = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(AMPLE)).unwrap();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    });
    trouble(send(&client(&url, &config)));
    let bytes = server.join().unwrap();
    let token = MockConfig::default().token.into_bytes();
    assert!(!bytes.is_empty() && !bytes.windows(token.len()).any(|window| window == token));
}
