//! Settings to what talks HTTP: who calls, how servers are reached, which device it is.

use std::time::Duration;

use kflow_delivery::sender::{DeviceSource, Lookup};
use kflow_delivery::{
    Client, Creation, Credentials, Device, DeviceApi, Error, HttpConfig, Outcome, Poster, ProxyConfig,
    ProxyUrl, Remedy, Selector, Timeouts, TlsConfig, Token, Trouble,
};

use crate::dns::Posted;
use crate::failure::{Code, Failure};
use crate::interface;
use crate::settings::{Settings, WantedDevice};

/// The rate that a new device has: none is left out.
const SAMPLE_RATE: u32 = 1;

/// How this program reaches servers.
#[derive(Debug)]
pub struct Connector {
    credentials: Credentials,
    http: HttpConfig,
}

impl Connector {
    /// # Errors
    /// EKFLOWAUTH for an email or token that no API can know.
    pub fn new(settings: &Settings) -> Result<Connector, Failure> {
        let token =
            Token::new(&settings.token.0).map_err(|error| Failure::new(Code::Auth, error.to_string()))?;
        let user_agent =
            format!("libkflow/{} {}/{}", env!("CARGO_PKG_VERSION"), settings.program, settings.version);
        Ok(Connector {
            credentials: Credentials { email: settings.email.clone(), token },
            http: HttpConfig {
                timeouts: timeouts(settings.timeout),
                proxy: match &settings.proxy {
                    Some(url) => ProxyConfig::Url { url: ProxyUrl(url.clone()), except: String::new() },
                    None => ProxyConfig::Direct,
                },
                tls: TlsConfig::default(),
                user_agent,
            },
        })
    }

    pub fn client(&self, url: &str) -> Result<Client, Failure> {
        Client::new(&[url.to_owned()], &self.credentials, &self.http).map_err(|error| refused("URL", &error))
    }

    /// Posts to the URL of this member of the config.
    pub fn poster(
        &self,
        url: &str,
        member: &str,
        content_type: &'static str,
        timeout: Duration,
    ) -> Result<Poster, Failure> {
        let timeouts = timeouts(self.http.timeouts.whole.min(timeout));
        let http = HttpConfig { timeouts, ..self.http.clone() };
        Poster::new(url, content_type, &self.credentials, &http).map_err(|error| refused(member, &error))
    }

    /// Looks the device up, or creates it. It is looked at again from time to time by what comes back beside it.
    pub fn find_device(&self, settings: &Settings) -> Result<(Device, DeviceSource), Failure> {
        let api = DeviceApi::new(&settings.api_url, &self.credentials, &self.http)
            .map_err(|error| refused("API.URL", &error))?;
        let selector = selector(&settings.device)?;
        let creation = settings.creation.as_ref().map(|creation| Creation {
            name: creation.name.clone(),
            address: creation.address,
            plan_id: creation.plan,
            site_id: creation.site,
            description: creation.name.clone(),
            sample_rate: SAMPLE_RATE,
        });
        let device = api.find(&selector, creation.as_ref()).map_err(|trouble| not_found(&api, &trouble))?;
        // From now on it is the one that it is, whatever its name or address.
        let selector = Selector::Id(device.id);
        let lookup = Lookup { api, selector, creation: None, memory: None, known: Some(device.clone()) };
        Ok((device, DeviceSource::Api(Box::new(lookup))))
    }
}

fn timeouts(whole: Duration) -> Timeouts {
    let usual = Timeouts::default();
    Timeouts {
        resolve: usual.resolve.min(whole),
        connect: usual.connect.min(whole),
        send: usual.send.min(whole),
        answer: usual.answer.min(whole),
        body: usual.body.min(whole),
        whole,
        idle: usual.idle,
    }
}

fn selector(wanted: &WantedDevice) -> Result<Selector, Failure> {
    Ok(match wanted {
        WantedDevice::Id(id) => Selector::Id(*id),
        WantedDevice::Address(address) => Selector::Address(*address),
        WantedDevice::Name(name) => Selector::Name(name.clone()),
        WantedDevice::Interface(name) => match interface::addresses(name) {
            Ok(Some(addresses)) => Selector::Interface { name: name.clone(), addresses },
            Ok(None) => return Err(Failure::config(format!("there is no network interface {name:?}"))),
            Err(error) => {
                return Err(Failure::config(format!("the addresses of {name:?} cannot be read: {error}")));
            }
        },
    })
}

/// What a member of the config cannot be used for.
fn refused(member: &str, error: &Error) -> Failure {
    let code = match error {
        Error::Token { .. } | Error::Header { name: "e-mail address", .. } => Code::Auth,
        _ => Code::Config,
    };
    Failure::new(code, format!("{member} in kflowConfig: {error}"))
}

fn not_found(api: &DeviceApi, trouble: &Trouble) -> Failure {
    let code = match trouble.remedy() {
        Remedy::CheckCredentials => Code::Auth,
        Remedy::LookUpDevice => Code::NoDevice,
        _ if matches!(trouble.cause, kflow_delivery::Cause::Timeout(_)) => Code::Timeout,
        _ => Code::Config,
    };
    Failure::new(code, format!("the device cannot be looked up at {}: {trouble}", api.url()))
}

/// What a post came to, for those who decide whether to repeat it.
pub fn posted(outcome: Outcome) -> Posted {
    match outcome {
        Outcome::Delivered => Posted::Taken,
        Outcome::Failed(trouble) if trouble.remedy() == Remedy::GiveBack => {
            Posted::Refused(trouble.to_string())
        }
        Outcome::Failed(trouble) => Posted::Failed(trouble.to_string()),
    }
}
