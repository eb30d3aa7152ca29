//! The table of what messages say. A field has the name that it has in the sensor's records.

/// One thing that messages say.
#[derive(Debug)]
pub struct Field {
    /// Its name in records, in reports and in the list of explanations.
    pub name: &'static str,
    pub per: Per,
}

/// How often a record says it, and what is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Once a transaction or message: each value has to be there as often as theirs has it.
    Transaction,
    /// Once a session, in each of its records; theirs says it once a hello, of which a session may have two (after
    /// a HelloRetryRequest, or sent again). Ours has to be one of theirs.
    Session,
}

pub static FIELDS: [Field; 23] = [
    transaction("dns_query"),
    transaction("dns_query_type"),
    transaction("dns_rcode"),
    transaction("http_method"),
    transaction("http_host"),
    transaction("http_url"),
    transaction("http_user_agent"),
    transaction("http_status"),
    transaction("dhcp_operation"),
    transaction("dhcp_message_type"),
    transaction("dhcp_host_name"),
    transaction("dhcp_your_address"),
    transaction("dhcp_client_mac"),
    session("tls_server_name"),
    session("tls_alpn"),
    session("tls_ja3"),
    session("tls_ja4"),
    session("tls_ja3s"),
    session("tls_selected_alpn"),
    session("quic_server_name"),
    session("quic_alpn"),
    session("quic_ja3"),
    session("quic_ja4"),
];

const fn transaction(name: &'static str) -> Field {
    Field { name, per: Per::Transaction }
}

const fn session(name: &'static str) -> Field {
    Field { name, per: Per::Session }
}
