//! The table of application protocols: numbers, fields, slots.
//!
//! Protocols that common receivers know keep their numbers and slots there; the others have numbers from 1001 on
//! and are this project's own. Neither numbers nor slots ever change their meaning; new fields come at the end.

use super::field::{Field, Key, Sensitivity, Slot};

/// A protocol that applications speak. Its number is that of `appProtocol` in the flow message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum AppProtocol {
    /// Over UDP or TCP.
    Dns = 1,
    /// Version 1 and, in the clear, version 2.
    Http = 2,
    Tls = 3,
    Dhcp = 4,
    Radius = 9,
    Mdns = 1001,
    Llmnr = 1002,
    Dhcpv6 = 1003,
    Quic = 1004,
    Ssh = 1005,
    Ntp = 1006,
    Snmp = 1007,
    Sip = 1008,
    PostgreSql = 1009,
    MySql = 1010,
}

impl AppProtocol {
    pub const ALL: [AppProtocol; 15] = [
        AppProtocol::Dns,
        AppProtocol::Http,
        AppProtocol::Tls,
        AppProtocol::Dhcp,
        AppProtocol::Radius,
        AppProtocol::Mdns,
        AppProtocol::Llmnr,
        AppProtocol::Dhcpv6,
        AppProtocol::Quic,
        AppProtocol::Ssh,
        AppProtocol::Ntp,
        AppProtocol::Snmp,
        AppProtocol::Sip,
        AppProtocol::PostgreSql,
        AppProtocol::MySql,
    ];

    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The name that JSON, CSV and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            AppProtocol::Dns => "dns",
            AppProtocol::Http => "http",
            AppProtocol::Tls => "tls",
            AppProtocol::Dhcp => "dhcp",
            AppProtocol::Radius => "radius",
            AppProtocol::Mdns => "mdns",
            AppProtocol::Llmnr => "llmnr",
            AppProtocol::Dhcpv6 => "dhcpv6",
            AppProtocol::Quic => "quic",
            AppProtocol::Ssh => "ssh",
            AppProtocol::Ntp => "ntp",
            AppProtocol::Snmp => "snmp",
            AppProtocol::Sip => "sip",
            AppProtocol::PostgreSql => "postgresql",
            AppProtocol::MySql => "mysql",
        }
    }

    /// Where it is defined.
    pub const fn specification(self) -> &'static str {
        match self {
            AppProtocol::Dns => "RFC 1035",
            AppProtocol::Http => "RFC 9112, RFC 9113",
            AppProtocol::Tls => "RFC 8446, RFC 5246",
            AppProtocol::Dhcp => "RFC 2131",
            AppProtocol::Radius => "RFC 2865, RFC 2866",
            AppProtocol::Mdns => "RFC 6762",
            AppProtocol::Llmnr => "RFC 4795",
            AppProtocol::Dhcpv6 => "RFC 8415",
            AppProtocol::Quic => "RFC 9000, RFC 9369",
            AppProtocol::Ssh => "RFC 4253",
            AppProtocol::Ntp => "RFC 5905",
            AppProtocol::Snmp => "RFC 1157, RFC 3416",
            AppProtocol::Sip => "RFC 3261",
            AppProtocol::PostgreSql => "PostgreSQL frontend/backend protocol 3",
            AppProtocol::MySql => "MySQL client/server protocol 10",
        }
    }

    /// What is said of a transaction or session. DNS, mDNS and LLMNR share theirs.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            AppProtocol::Dns | AppProtocol::Mdns | AppProtocol::Llmnr => dns::FIELDS,
            AppProtocol::Http => http::FIELDS,
            AppProtocol::Tls => tls::FIELDS,
            AppProtocol::Dhcp => dhcp::FIELDS,
            AppProtocol::Radius => radius::FIELDS,
            AppProtocol::Dhcpv6 => dhcpv6::FIELDS,
            AppProtocol::Quic => quic::FIELDS,
            AppProtocol::Ssh => ssh::FIELDS,
            AppProtocol::Ntp => ntp::FIELDS,
            AppProtocol::Snmp => snmp::FIELDS,
            AppProtocol::Sip => sip::FIELDS,
            AppProtocol::PostgreSql => postgresql::FIELDS,
            AppProtocol::MySql => mysql::FIELDS,
        }
    }

    pub fn from_number(number: u16) -> Option<AppProtocol> {
        AppProtocol::ALL.into_iter().find(|protocol| *protocol as u16 == number)
    }

    /// The field that a key of this protocol stands for.
    pub fn field(self, key: Key) -> &'static Field {
        &self.fields()[usize::from(key.0)]
    }

    /// What is in the slot in records of this protocol; `None` if nothing is.
    pub fn key_in(self, slot: Slot) -> Option<Key> {
        let place = self.fields().iter().position(|field| field.slot == slot)?;
        Some(Key(place as u8))
    }
}

/// No protocol has more fields.
pub const FIELDS_MAX: usize = {
    let mut most = 0;
    let mut place = 0;
    while place < AppProtocol::ALL.len() {
        let fields = AppProtocol::ALL[place].fields().len();
        most = if fields > most { fields } else { most };
        place += 1;
    }
    most
};

/// The fields of a protocol: a key for each, and the table they point into.
macro_rules! fields {
    ($module:ident: $($key:ident = $slot:ident $number:literal $name:literal $sensitivity:ident $meaning:literal;)+) => {
        pub mod $module {
            use super::{Field, Key, Sensitivity, Slot, key_of};

            $(
                #[doc = $meaning]
                pub const $key: Key = key_of(FIELDS, $name);
            )+

            pub const FIELDS: &[Field] = &[$(Field {
                name: $name,
                kind: Slot::$slot($number).kind(),
                slot: Slot::$slot($number),
                sensitivity: Sensitivity::$sensitivity,
                meaning: $meaning,
            }),+];
        }
    };
}

/// The key of the field with this name.
const fn key_of(fields: &[Field], name: &str) -> Key {
    let mut place = 0;
    while !is_equal(fields[place].name.as_bytes(), name.as_bytes()) {
        place += 1;
    }
    Key(place as u8)
}

const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut place = 0;
    while place < a.len() && a[place] == b[place] {
        place += 1;
    }
    place == a.len()
}

fields! { dns:
    QUERY = Text 0 "dns_query" DnsName "Name of the first question, without the final dot; of an answer without question, of its first record.";
    ANSWERS = Text 1 "dns_answers" DnsName "Answer records, separated by semicolons: data, slash, type.";
    ANSWER_TTLS = Text 2 "dns_answer_ttls" Open "Their times to live in seconds, in the same order.";
    QUERY_TYPE = Number 0 "dns_query_type" Open "Type of the first question (IANA DNS parameters).";
    RCODE = Number 1 "dns_rcode" Open "Response code, with the upper bits of EDNS; unknown without an answer.";
    ID = Number 2 "dns_id" Open "Identifier of the messages.";
    FLAGS = Number 3 "dns_flags" Open "The 16 bits behind the identifier, of the answer if there is one.";
    ANSWER_COUNT = Number 4 "dns_answer_count" Open "Answer records that the header announces.";
    QUERY_CLASS = Number 5 "dns_query_class" Open "Class of the first question.";
    EDNS_UDP_BYTES = Number 6 "dns_edns_udp_bytes" Open "Largest answer over UDP that the query's EDNS allows.";
    EDNS_FLAGS = Number 7 "dns_edns_flags" Open "Flags of the query's EDNS, such as DO (0x8000).";
    QUESTION_COUNT = Number 8 "dns_question_count" Open "Questions that the header announces.";
    REPEATED_QUERIES = Number 9 "dns_repeated_queries" Open "Times that the query was sent again before it was answered.";
}

fields! { http:
    URL = Text 0 "http_url" Url "Target of the request as it was sent.";
    HOST = Text 1 "http_host" HostName "Host header or :authority.";
    REFERER = Text 2 "http_referer" Url "Referer header.";
    USER_AGENT = Text 3 "http_user_agent" Open "User-Agent header.";
    METHOD = Text 4 "http_method" Open "Method of the request.";
    VERSION = Text 5 "http_version" Open "Version of the request, else of the answer: 1.0, 1.1, 2.";
    CONTENT_TYPE = Text 6 "http_content_type" Open "Content-Type of the answer.";
    REQUEST_CONTENT_TYPE = Text 7 "http_request_content_type" Open "Content-Type of the request.";
    SERVER = Text 8 "http_server" Open "Server header of the answer.";
    STATUS = Number 0 "http_status" Open "Status code; unknown without an answer.";
    REQUEST_BODY_BYTES = LargeNumber 0 "http_request_body_bytes" Open "Content-Length of the request, or what its chunks add up to.";
    RESPONSE_BODY_BYTES = LargeNumber 1 "http_response_body_bytes" Open "Content-Length of the answer, or what its chunks add up to.";
}

fields! { tls:
    SERVER_NAME = Text 0 "tls_server_name" HostName "Server name that the client asked for (SNI).";
    ALPN = Text 1 "tls_alpn" Open "Protocols that the client offers (ALPN), separated by commas.";
    JA3 = Text 2 "tls_ja3" Open "JA3 fingerprint of the ClientHello, MD5 in hex.";
    JA4 = Text 3 "tls_ja4" Open "JA4 fingerprint of the ClientHello.";
    JA3S = Text 4 "tls_ja3s" Open "JA3S fingerprint of the ServerHello, MD5 in hex.";
    CERTIFICATE_NAMES = Text 5 "tls_certificate_names" HostName "Common and alternative names of the server's certificate, separated by semicolons; TLS 1.2 and before.";
    SELECTED_ALPN = Text 6 "tls_selected_alpn" Open "Protocol that the server selected, as far as it was not encrypted.";
    CLIENT_VERSIONS = Text 7 "tls_client_versions" Open "Versions that the client offers, decimal, separated by hyphens.";
    CLIENT_CIPHERS = Text 8 "tls_client_ciphers" Open "Cipher suites that the client offers, decimal, separated by hyphens.";
    CERTIFICATE_ISSUER = Text 9 "tls_certificate_issuer" Open "Common name of the issuer of that certificate.";
    VERSION = Number 0 "tls_version" Open "Version that the server selected, such as 0x0304 for TLS 1.3.";
    CIPHER = Number 1 "tls_cipher" Open "Cipher suite that the server selected (IANA TLS parameters).";
    CLIENT_VERSION = Number 2 "tls_client_version" Open "Version field of the ClientHello.";
    ALERT = Number 3 "tls_alert" Open "Description of the first fatal alert in the clear.";
}

fields! { dhcp:
    CLIENT_MAC = Text 0 "dhcp_client_mac" UserName "Hardware address of the client.";
    HOST_NAME = Text 1 "dhcp_host_name" HostName "Host name (option 12).";
    DOMAIN = Text 2 "dhcp_domain" Open "Domain name (option 15).";
    VENDOR_CLASS = Text 3 "dhcp_vendor_class" Open "Vendor class (option 60).";
    PARAMETERS = Text 4 "dhcp_parameters" Open "Options that the client asks for (option 55), decimal, separated by commas.";
    CLIENT_ID = Text 5 "dhcp_client_id" UserName "Client identifier (option 61) in hex.";
    FQDN = Text 6 "dhcp_fqdn" HostName "Fully qualified name (option 81).";
    OPERATION = Number 0 "dhcp_operation" Open "1 request, 2 reply.";
    MESSAGE_TYPE = Number 1 "dhcp_message_type" Open "Message type (option 53); absent from BOOTP.";
    LEASE_S = Number 2 "dhcp_lease_s" Open "Lease time in seconds (option 51).";
    TRANSACTION_ID = Number 3 "dhcp_transaction_id" Open "Transaction identifier (xid).";
    CLIENT_ADDRESS = Address 0 "dhcp_client_address" Open "Address that the client has (ciaddr).";
    YOUR_ADDRESS = Address 1 "dhcp_your_address" Open "Address that the client gets (yiaddr).";
    SERVER_ADDRESS = Address 2 "dhcp_server_address" Open "Next server (siaddr).";
    REQUESTED_ADDRESS = Address 3 "dhcp_requested_address" Open "Address that the client asks for (option 50).";
    SERVER_ID = Address 4 "dhcp_server_id" Open "Server identifier (option 54).";
}

fields! { dhcpv6:
    CLIENT_ID = Text 0 "dhcpv6_client_id" UserName "DUID of the client in hex.";
    FQDN = Text 1 "dhcpv6_fqdn" HostName "Name of the client (option 39).";
    SERVER_ID = Text 2 "dhcpv6_server_id" Open "DUID of the server in hex.";
    PARAMETERS = Text 3 "dhcpv6_parameters" Open "Options that the client asks for (option 6), decimal, separated by commas.";
    MESSAGE_TYPE = Number 0 "dhcpv6_message_type" Open "Message type; of a relayed message the innermost.";
    TRANSACTION_ID = Number 1 "dhcpv6_transaction_id" Open "Transaction identifier, 24 bits.";
    VALID_S = Number 2 "dhcpv6_valid_s" Open "Valid lifetime of the first address or prefix, seconds.";
    STATUS = Number 3 "dhcpv6_status" Open "First status code that is not success, else success if it was said.";
    PREFIX_BITS = Number 4 "dhcpv6_prefix_bits" Open "Length of the delegated prefix.";
    ADDRESS = Address 0 "dhcpv6_address" Open "First address of an identity association.";
    PREFIX = Address 1 "dhcpv6_prefix" Open "First delegated prefix.";
}

fields! { radius:
    USER = Text 0 "radius_user" UserName "User-Name.";
    FRAMED_PROTOCOL = Text 1 "radius_framed_protocol" Open "Framed-Protocol, decimal.";
    SESSION_ID = Text 2 "radius_session_id" Open "Acct-Session-Id.";
    NAS_ID = Text 3 "radius_nas_id" Open "NAS-Identifier.";
    CALLING_STATION = Text 4 "radius_calling_station" UserName "Calling-Station-Id.";
    CALLED_STATION = Text 5 "radius_called_station" Open "Called-Station-Id.";
    CODE = Number 0 "radius_code" Open "Code of the request, else of the answer.";
    SERVICE_TYPE = Number 1 "radius_service_type" Open "Service-Type.";
    ACCOUNTING_STATUS = Number 2 "radius_accounting_status" Open "Acct-Status-Type.";
    ANSWER_CODE = Number 3 "radius_answer_code" Open "Code of the answer; unknown without one.";
    IDENTIFIER = Number 4 "radius_identifier" Open "Identifier of the messages.";
    NAS_PORT = Number 5 "radius_nas_port" Open "NAS-Port.";
    FRAMED_ADDRESS = Address 0 "radius_framed_address" Open "Framed-IP-Address.";
    FRAMED_MASK = Address 1 "radius_framed_mask" Open "Framed-IP-Netmask.";
    NAS_ADDRESS = Address 2 "radius_nas_address" Open "NAS-IP-Address or NAS-IPv6-Address.";
}

fields! { quic:
    SERVER_NAME = Text 0 "quic_server_name" HostName "Server name that the client asked for (SNI).";
    ALPN = Text 1 "quic_alpn" Open "Protocols that the client offers (ALPN), separated by commas.";
    JA3 = Text 2 "quic_ja3" Open "JA3 fingerprint of the ClientHello, MD5 in hex.";
    JA4 = Text 3 "quic_ja4" Open "JA4 fingerprint of the ClientHello.";
    USER_AGENT = Text 4 "quic_user_agent" Open "User agent, of clients of Google's early versions.";
    CLIENT_CIPHERS = Text 5 "quic_client_ciphers" Open "Cipher suites that the client offers, decimal, separated by hyphens.";
    VERSION = Number 0 "quic_version" Open "Version field of the first packet whose version is known, or else of the first that has one.";
    CIPHER = Number 1 "quic_cipher" Open "Cipher suite that the server selected.";
}

fields! { ssh:
    CLIENT = Text 0 "ssh_client" Open "Identification of the client.";
    SERVER = Text 1 "ssh_server" Open "Identification of the server.";
}

fields! { ntp:
    REFERENCE_ID = Text 0 "ntp_reference_id" Open "Reference identifier of the answer: text at stratum 0 and 1, else hex.";
    VERSION = Number 0 "ntp_version" Open "Version.";
    MODE = Number 1 "ntp_mode" Open "Mode of the first message, such as 3 for a client.";
    STRATUM = Number 2 "ntp_stratum" Open "Stratum of the answer, else of the only message.";
    LEAP = Number 3 "ntp_leap" Open "Leap indicator of the answer, else of the only message.";
}

fields! { snmp:
    COMMUNITY = Text 0 "snmp_community" UserName "Community of versions 1 and 2c.";
    OBJECT = Text 1 "snmp_object" Open "First object identifier.";
    VERSION = Number 0 "snmp_version" Open "Version field: 0 is 1, 1 is 2c, 3 is 3.";
    PDU = Number 1 "snmp_pdu" Open "Number of the request's PDU: 0 get, 1 get-next, 2 response, 3 set, 4 trap, 5 get-bulk, 6 inform, 7 trap v2, 8 report.";
    REQUEST_ID = Number 2 "snmp_request_id" Open "Request identifier, as 32 bits without sign.";
    ERROR_STATUS = Number 3 "snmp_error_status" Open "Error status of the response; unknown without one.";
    OBJECTS = Number 4 "snmp_objects" Open "Variable bindings of the request.";
}

fields! { sip:
    METHOD = Text 0 "sip_method" Open "Method of the request.";
    URI = Text 1 "sip_uri" UserName "Request-URI.";
    FROM = Text 2 "sip_from" UserName "From header.";
    TO = Text 3 "sip_to" UserName "To header.";
    USER_AGENT = Text 4 "sip_user_agent" Open "User-Agent header.";
    CALL_ID = Text 5 "sip_call_id" Open "Call-ID header.";
    STATUS = Number 0 "sip_status" Open "Status code of the final answer, else of the latest; unknown without one.";
}

fields! { postgresql:
    USER = Text 0 "postgresql_user" UserName "User of the start-up message.";
    DATABASE = Text 1 "postgresql_database" Open "Database of the start-up message.";
    APPLICATION = Text 2 "postgresql_application" Open "Application name of the start-up message.";
    ERROR = Text 3 "postgresql_error" Open "SQLSTATE of the error that ended the start-up.";
    SERVER_VERSION = Text 4 "postgresql_server_version" Open "Version that the server reports.";
    VERSION = Number 0 "postgresql_version" Open "Protocol version of the start-up message, such as 0x00030000.";
    TLS = Number 1 "postgresql_tls" Open "1 if the client asked for TLS and the server agreed, 0 if it refused.";
    AUTHENTICATION = Number 2 "postgresql_authentication" Open "First authentication that the server asked for, 0 if none.";
}

fields! { mysql:
    USER = Text 0 "mysql_user" UserName "User of the handshake response.";
    DATABASE = Text 1 "mysql_database" Open "Database of the handshake response.";
    SERVER_VERSION = Text 2 "mysql_server_version" Open "Version that the server greets with.";
    AUTHENTICATION = Text 3 "mysql_authentication" Open "Authentication plugin of the handshake response.";
    SQL_STATE = Text 4 "mysql_sql_state" Open "SQLSTATE of the error that ended the start-up.";
    ERROR = Number 0 "mysql_error" Open "Code of that error.";
    TLS = Number 1 "mysql_tls" Open "1 if the client went on with TLS.";
    CONNECTION_ID = Number 2 "mysql_connection_id" Open "Connection identifier of the greeting.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_of_protocols_are_unique_and_are_found_again() {
        let numbers: HashSet<u16> = AppProtocol::ALL.iter().map(|protocol| protocol.number()).collect();
        assert_eq!(numbers.len(), AppProtocol::ALL.len());
        for protocol in AppProtocol::ALL {
            assert_eq!(AppProtocol::from_number(protocol.number()), Some(protocol));
        }
        // The number of the record that names custom columns.
        assert_eq!(AppProtocol::from_number(101), None);
    }

    #[test]
    fn names_and_slots_of_a_protocol_are_unique_and_every_slot_exists() {
        let slots: HashSet<Slot> = Slot::all().collect();
        for protocol in AppProtocol::ALL {
            let fields = protocol.fields();
            let names: HashSet<&str> = fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), fields.len(), "{}", protocol.name());
            let used: HashSet<Slot> = fields.iter().map(|field| field.slot).collect();
            assert_eq!(used.len(), fields.len(), "{}", protocol.name());
            assert!(used.is_subset(&slots), "{}", protocol.name());
            let found =
                |field: &Field| protocol.key_in(field.slot).map(|key| fields[usize::from(key.0)].name);
            assert!(fields.iter().all(|field| found(field) == Some(field.name)), "{}", protocol.name());
        }
    }

    #[test]
    fn ids_of_slots_are_unique() {
        let ids: HashSet<u32> = Slot::all().map(Slot::id).collect();
        assert_eq!(ids.len(), Slot::COUNT);
        assert!(Slot::all().map(Slot::place).eq(0..Slot::COUNT));
        assert_eq!(Slot::Text(16).id(), 7672);
        assert_eq!(Slot::Text(32).id(), 13_815);
        assert_eq!(Slot::Number(9).id(), 10_437);
        assert_eq!(Slot::LargeNumber(9).id(), 10_442);
    }
}
