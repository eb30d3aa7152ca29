//! Through a proxy: by tunnel only, with credentials for the proxy and none of ours.

use crate::support::{Folder, client, http, plain_mock, send, trouble};
use kflow_delivery::{
    Cause, HttpConfig, Outcome, ProxyConfig, ProxyEnvironment, ProxyUrl, Remedy, TlsConfig,
};
use kflow_mock::{Authority, Mock, MockConfig, MockProxy, ServerTls};

fn through(url: String) -> HttpConfig {
    HttpConfig { proxy: ProxyConfig::Url { url: ProxyUrl(url), except: String::new() }, ..http() }
}

#[test]
fn https_goes_through_the_tunnel_of_a_proxy_that_sees_no_token() {
    let (authority, folder) = (Authority::new(), Folder::new("proxy"));
    let tls = ServerTls::new(&authority.sign("flow.example"));
    let mock = Mock::start(MockConfig { tls: Some(tls), ..MockConfig::default() }).unwrap();
    let proxy = MockProxy::start(Some("Basic bWU6cCU="));
    let ca_file = Some(folder.file("ca.pem", &authority.certificate_pem()));
    let config = HttpConfig {
        tls: TlsConfig { ca_file, client_certificate: None },
        ..through(format!("http://me:p%25@{}", proxy.address()))
    };
    // Only the proxy knows where flow.example is.
    let client = client(&format!("https://flow.example:{}/chf", mock.address().port()), &config);
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(send(&client), Outcome::Delivered);
    let [request] = &proxy.requests()[..] else { panic!("the tunnel was not kept") };
    assert_eq!(request.target, format!("flow.example:{}", mock.address().port()));
    let head = request.head.to_ascii_lowercase();
    assert!(!head.contains("x-ch-auth") && !head.contains(&MockConfig::default().token), "{head}");
    assert!(!mock.requests()[0].headers.iter().any(|(name, _)| name.to_ascii_lowercase().contains("proxy")));
}

#[test]
fn a_proxy_that_refuses_is_named_as_the_cause() {
    let mock = plain_mock();
    let proxy = MockProxy::start(Some("Basic b3RoZXI6"));
    let trouble =
        trouble(send(&client(&mock.flow_url(), &through(format!("http://me:s3cret@{}", proxy.address())))));
    assert_eq!((trouble.cause, trouble.remedy()), (Cause::Proxy, Remedy::Retry));
    assert!(trouble.text.contains("407") && !trouble.text.contains("s3cret"), "{trouble}");
    assert!(mock.requests().is_empty());
}

#[test]
fn a_proxy_that_cannot_reach_the_server_is_named_as_the_cause() {
    let proxy = MockProxy::start(None);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://flow.example:{port}/chf");
    let trouble = trouble(send(&client(&url, &through(proxy.address().to_string()))));
    assert_eq!(trouble.cause, Cause::Proxy);
    assert!(trouble.text.contains("502"), "{trouble}");
}

#[test]
fn plain_http_goes_through_a_tunnel_too() {
    let (mock, proxy) = (plain_mock(), MockProxy::start(None));
    let url = format!("http://engine.example:{}/chf", mock.address().port());
    assert_eq!(send(&client(&url, &through(format!("http://{}", proxy.address())))), Outcome::Delivered);
    assert_eq!(proxy.requests()[0].method, "CONNECT");
}

#[test]
fn the_configuration_wins_over_the_environment() {
    let (mock, configured, inherited) = (plain_mock(), MockProxy::start(None), MockProxy::start(None));
    let url = format!("http://engine.example:{}/chf", mock.address().port());
    let environment = ProxyConfig::Environment(ProxyEnvironment {
        http_proxy: Some(ProxyUrl(format!("http://{}", inherited.address()))),
        ..ProxyEnvironment::default()
    });
    assert_eq!(send(&client(&url, &HttpConfig { proxy: environment, ..http() })), Outcome::Delivered);
    assert_eq!(send(&client(&url, &through(format!("http://{}", configured.address())))), Outcome::Delivered);
    assert_eq!((configured.requests().len(), inherited.requests().len()), (1, 1));
}
