//! The receiver of flow messages over HTTP, with the spool in front of it.

use crate::{
    config::{Compression, DeliveryFormat, DeviceConfig, HttpExportConfig, SpoolConfig},
    interface::Interface,
};
use anyhow::{Context, Result, bail};
use kflow_delivery::{
    Client, ClientCertificate, ContentEncoding, Creation, Credentials, Device, DeviceApi, HttpConfig,
    ProxyConfig, ProxyUrl, RegionUrls, Selector, SenderSink, TlsConfig, Token,
    device::Column,
    sender::{Columns, DeviceSource, FlowPack, Lookup, Sender, SenderConfig, SenderParts, Watch},
};
use kflow_spool::{Reader, Writer, fs::RealFs};
use std::{
    env,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The sink, and what tells how it gets on.
pub fn open(config: &HttpExportConfig, sample_rate: u32) -> Result<(SenderSink, Watch)> {
    let region = config.region.as_deref().map(RegionUrls::of);
    let urls = region.as_ref().map_or_else(|| config.urls.clone(), |urls| vec![urls.flow.clone()]);
    let credentials = Credentials { email: config.email.clone(), token: token(config)? };
    let http = HttpConfig {
        proxy: config.proxy.clone().map_or_else(
            || HttpConfig::default().proxy,
            |proxy| ProxyConfig::Url { url: ProxyUrl(proxy), except: String::new() },
        ),
        tls: tls(config),
        ..HttpConfig::default()
    };
    let encoding = match config.compression {
        Compression::Gzip => ContentEncoding::Gzip,
        Compression::Zstd => ContentEncoding::Zstd,
        Compression::None => ContentEncoding::Identity,
    };
    let columns = match config.format {
        DeliveryFormat::Kentik => Columns::OfDevice,
        DeliveryFormat::Kflow => Columns::Named,
    };
    let device = device(config, region.as_ref(), &credentials, &http, sample_rate)?;
    let sender = Sender::start(SenderParts {
        config: SenderConfig {
            window_records: config.window_records,
            batch_records: config.batch_records,
            interval: Duration::from_millis(config.interval_ms),
            memory_bytes: config.memory_bytes,
            records_per_s_max: (config.records_per_s_max > 0).then_some(config.records_per_s_max),
            sensor: config.sensor.clone(),
            ..SenderConfig::default()
        },
        pack: FlowPack::new(columns, encoding),
        client: Client::new(&urls, &credentials, &http)?,
        device,
        spool: config.spool.enabled.then(|| spool(&config.spool)).transpose()?,
    })
    .context("start the threads that deliver records")?;
    let watch = sender.watch().clone();
    Ok((SenderSink::new(sender, Duration::from_secs(config.stop_timeout_s)), watch))
}

fn token(config: &HttpExportConfig) -> Result<Token> {
    if let Some(name) = &config.token_credential {
        let folder = env::var_os("CREDENTIALS_DIRECTORY")
            .context("export.http.token_credential needs a start by systemd with LoadCredential=")?;
        return Ok(Token::from_credential(Path::new(&folder), name)?);
    }
    let Some(path) = &config.token_file else {
        bail!(
            "export.http needs a token: name a file with token_file, or a credential with token_credential"
        );
    };
    let (token, _) = Token::from_file(path, kflow_delivery::Exposed::Refuse)?;
    Ok(token)
}

fn tls(config: &HttpExportConfig) -> TlsConfig {
    let files = config.client_certificate_file.clone().zip(config.client_key_file.clone());
    TlsConfig {
        ca_file: config.ca_file.clone(),
        client_certificate: files
            .map(|(certificate_file, key_file)| ClientCertificate { certificate_file, key_file }),
    }
}

fn device(
    config: &HttpExportConfig,
    region: Option<&RegionUrls>,
    credentials: &Credentials,
    http: &HttpConfig,
    sample_rate: u32,
) -> Result<DeviceSource> {
    let named = &config.device;
    if let (Some(company_id), Some(id), Some(name)) = (named.company_id, named.id, &named.name) {
        let column = |(id, name, kind): &(u32, String, String)| Column {
            id: *id,
            name: name.clone(),
            kind: kind.clone(),
        };
        return Ok(DeviceSource::Fixed(Device {
            id,
            company_id,
            name: name.clone(),
            sample_rate,
            flow_rate_max: None,
            columns: named.columns.iter().map(column).collect(),
        }));
    }
    let of_region = region.map(|urls| urls.api.clone());
    let url = named.api_url.clone().or(of_region).context("the config was checked: there is an api_url")?;
    Ok(DeviceSource::Api(Box::new(Lookup {
        api: DeviceApi::new(&url, credentials, http)?,
        selector: selector(named)?,
        creation: creation(named, sample_rate),
        memory: named.cache_file.clone().or_else(|| beside(&config.spool)),
        known: None,
    })))
}

/// Where the device is remembered unless the config says so: a spool would be of little use to a start without the API.
fn beside(spool: &SpoolConfig) -> Option<PathBuf> {
    let mut path = spool.directory.clone().into_os_string();
    path.push(".device.json");
    spool.enabled.then(|| path.into())
}

/// By what a device is looked up, the surest first.
fn selector(device: &DeviceConfig) -> Result<Selector> {
    if let Some(id) = device.id {
        return Ok(Selector::Id(id));
    }
    if let Some(name) = &device.interface {
        let addresses = Interface::new(name).addresses().context("ask for the addresses of interfaces")?;
        if addresses.is_empty() {
            bail!("export.http.device.interface: {name} has no address");
        }
        return Ok(Selector::Interface { name: name.clone(), addresses });
    }
    if let Some(ip) = device.ip {
        return Ok(Selector::Address(ip));
    }
    let name = device.name.clone().context("the config was checked: the device has a name")?;
    Ok(Selector::Name(name))
}

fn creation(device: &DeviceConfig, sample_rate: u32) -> Option<Creation> {
    let (name, address, plan_id): (_, IpAddr, _) = (device.name.clone()?, device.ip?, device.plan?);
    Some(Creation { description: name.clone(), name, address, plan_id, site_id: device.site, sample_rate })
}

fn spool(config: &SpoolConfig) -> Result<(Writer, Reader)> {
    let directory = config.directory.display();
    let disk = RealFs::create(&config.directory).with_context(|| format!("create the spool {directory}"))?;
    let limits = config.limits();
    let (writer, reader, recovery) =
        kflow_spool::open(Arc::new(disk), limits).with_context(|| format!("open the spool {directory}"))?;
    let records = recovery.waiting.records;
    if recovery.missing.records > 0 || recovery.unreadable_segments > 0 || recovery.is_cursor_lost {
        tracing::error!(%directory, ?recovery, "the spool is damaged; what is left of it is sent");
    } else if records > 0 {
        tracing::info!(%directory, records, "records of an earlier run wait in the spool");
    }
    Ok((writer, reader))
}
