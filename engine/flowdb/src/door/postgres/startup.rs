//! Who comes in, and who may end whose statement.

use crate::door::House;
use crate::door::counters::Counters;
use crate::door::secret::Secret;
use async_trait::async_trait;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::auth::noop::NoopStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramAuth, gen_salted_password};
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password as StoredPassword, StartupHandler,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The query token as SCRAM wants it: salted once, at the start.
#[derive(Clone)]
pub struct Password {
    salt: [u8; 16],
    salted: Arc<Zeroizing<Vec<u8>>>,
}

impl Password {
    pub fn new(token: &Secret) -> Password {
        let mut salt = [0; 16];
        let provider = tokio_rustls::rustls::crypto::ring::default_provider();
        provider.secure_random.fill(&mut salt).expect("the kernel has randomness");
        let salted = gen_salted_password(token.expose(), &salt, SCRAM_ITERATIONS);
        Password { salt, salted: Arc::new(Zeroizing::new(salted)) }
    }
}

impl Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[expect(elided_lifetimes_in_paths, reason = "async_trait makes another signature of one that is spelt out")]
#[async_trait]
impl AuthSource for Password {
    /// Of any user: the name is not looked at.
    async fn get_password(&self, _login: &LoginInfo) -> PgWireResult<StoredPassword> {
        Ok(StoredPassword::new(Some(self.salt.to_vec()), self.salted.to_vec()))
    }
}

/// The start of a connection.
pub struct Startup {
    house: Arc<House>,
    has_tls: bool,
    /// None where everybody may ask.
    scram: Option<SASLAuthStartupHandler<DefaultServerParameterProvider>>,
}

/// Lets everybody in.
struct Open;

impl NoopStartupHandler for Open {}

impl Startup {
    pub fn new(house: Arc<House>, password: Option<Password>, has_tls: bool) -> Startup {
        let scram = password.map(|password| {
            let mut parameters = DefaultServerParameterProvider::default();
            parameters.is_superuser = false;
            SASLAuthStartupHandler::new(Arc::new(parameters)).with_scram(ScramAuth::new(Arc::new(password)))
        });
        Startup { house, has_tls, scram }
    }
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if self.has_tls && !client.is_secure() {
            let what = "this server takes connections over TLS only (sslmode=require)".to_owned();
            let info = ErrorInfo::new("FATAL".to_owned(), "28000".to_owned(), what);
            return Err(PgWireError::UserError(Box::new(info)));
        }
        let result = match &self.scram {
            None => Open.on_startup(client, message).await,
            Some(scram) => scram.on_startup(client, message).await,
        };
        if let Err(PgWireError::InvalidPassword(_)) = &result {
            Counters::add(&self.house.counters.unauthorized, 1);
        }
        result
    }
}

/// The number of a connection, and the secret that it was given.
type Key = (i32, Vec<u8>);

/// The connections whose statements may be ended from another one, by the number and the key that each was given.
#[derive(Debug, Default)]
pub struct Cancels {
    connections: Mutex<HashMap<Key, watch::Sender<u64>>>,
}

/// A connection's entry. Each change of its number ends what runs.
pub struct Cancellable {
    cancels: Arc<Cancels>,
    key: Key,
    pub requests: watch::Receiver<u64>,
}

const HELD: &str = "nothing panics while it is held";

impl Cancels {
    pub fn register(self: &Arc<Cancels>, (number, secret): (i32, SecretKey)) -> Cancellable {
        let key = (number, bytes_of(&secret));
        let (sender, requests) = watch::channel(0);
        self.connections.lock().expect(HELD).insert(key.clone(), sender);
        Cancellable { cancels: Arc::clone(self), key, requests }
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.cancels.connections.lock().expect(HELD).remove(&self.key);
    }
}

/// The key as it is on the wire: the connection that cancels does not know which version of the protocol gave it out.
fn bytes_of(secret: &SecretKey) -> Vec<u8> {
    match secret {
        SecretKey::I32(number) => number.to_be_bytes().to_vec(),
        SecretKey::Bytes(bytes) => bytes.to_vec(),
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let connections = self.connections.lock().expect(HELD);
        if let Some(sender) = connections.get(&(request.pid, bytes_of(&request.secret_key))) {
            sender.send_modify(|number| *number += 1);
        }
    }
}
