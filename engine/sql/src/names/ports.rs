//! Ports by number: the best known of IANA's "Service Name and Transport Protocol Port Number Registry".

/// The service of a port, whichever protocol, or that of one protocol (6 or 17); None if it is not well known.
pub fn port(port: u16, protocol: Option<u8>) -> Option<&'static str> {
    let first = PORTS.partition_point(|entry| entry.0 < port);
    let of_port = PORTS[first..].iter().take_while(|entry| entry.0 == port);
    let mut of_protocol = of_port.filter(|entry| match protocol {
        None => true,
        Some(6) => entry.1 & TCP != 0,
        Some(17) => entry.1 & UDP != 0,
        Some(_) => false,
    });
    of_protocol.next().map(|entry| entry.2)
}

const TCP: u8 = 1;
const UDP: u8 = 2;
const BOTH: u8 = TCP | UDP;

/// Sorted by port.
const PORTS: &[(u16, u8, &str)] = &[
    (7, BOTH, "echo"),
    (9, BOTH, "discard"),
    (13, BOTH, "daytime"),
    (19, BOTH, "chargen"),
    (20, TCP, "ftp-data"),
    (21, TCP, "ftp"),
    (22, TCP, "ssh"),
    (23, TCP, "telnet"),
    (25, TCP, "smtp"),
    (37, BOTH, "time"),
    (43, TCP, "whois"),
    (49, BOTH, "tacacs"),
    (53, BOTH, "domain"),
    (67, UDP, "bootps"),
    (68, UDP, "bootpc"),
    (69, UDP, "tftp"),
    (70, TCP, "gopher"),
    (79, TCP, "finger"),
    (80, BOTH, "http"),
    (88, BOTH, "kerberos"),
    (110, TCP, "pop3"),
    (111, BOTH, "sunrpc"),
    (113, TCP, "ident"),
    (119, TCP, "nntp"),
    (123, UDP, "ntp"),
    (135, BOTH, "epmap"),
    (137, BOTH, "netbios-ns"),
    (138, BOTH, "netbios-dgm"),
    (139, BOTH, "netbios-ssn"),
    (143, TCP, "imap"),
    (161, UDP, "snmp"),
    (162, UDP, "snmptrap"),
    (177, UDP, "xdmcp"),
    (179, TCP, "bgp"),
    (194, TCP, "irc"),
    (319, UDP, "ptp-event"),
    (320, UDP, "ptp-general"),
    (389, BOTH, "ldap"),
    (427, BOTH, "svrloc"),
    (443, BOTH, "https"),
    (445, TCP, "microsoft-ds"),
    (464, BOTH, "kpasswd"),
    (465, TCP, "submissions"),
    (500, UDP, "isakmp"),
    (512, TCP, "exec"),
    (513, TCP, "login"),
    (514, UDP, "syslog"),
    (514, TCP, "shell"),
    (515, TCP, "printer"),
    (520, UDP, "router"),
    (521, UDP, "ripng"),
    (546, UDP, "dhcpv6-client"),
    (547, UDP, "dhcpv6-server"),
    (548, TCP, "afpovertcp"),
    (554, BOTH, "rtsp"),
    (563, TCP, "nntps"),
    (587, TCP, "submission"),
    (623, UDP, "asf-rmcp"),
    (631, BOTH, "ipp"),
    (636, TCP, "ldaps"),
    (639, TCP, "msdp"),
    (646, BOTH, "ldp"),
    (853, BOTH, "domain-s"),
    (860, TCP, "iscsi"),
    (873, TCP, "rsync"),
    (989, TCP, "ftps-data"),
    (990, TCP, "ftps"),
    (992, TCP, "telnets"),
    (993, TCP, "imaps"),
    (995, TCP, "pop3s"),
    (1080, TCP, "socks"),
    (1194, BOTH, "openvpn"),
    (1352, TCP, "lotusnote"),
    (1433, TCP, "ms-sql-s"),
    (1434, UDP, "ms-sql-m"),
    (1494, TCP, "ica"),
    (1521, TCP, "ncube-lm"),
    (1645, UDP, "radius-old"),
    (1646, UDP, "radacct-old"),
    (1701, UDP, "l2tp"),
    (1720, TCP, "h323hostcall"),
    (1723, TCP, "pptp"),
    (1812, UDP, "radius"),
    (1813, UDP, "radius-acct"),
    (1883, TCP, "mqtt"),
    (1900, UDP, "ssdp"),
    (1935, TCP, "rtmp"),
    (1985, UDP, "hsrp"),
    (2049, BOTH, "nfs"),
    (2055, UDP, "netflow"),
    (2123, UDP, "gtp-control"),
    (2152, UDP, "gtp-user"),
    (2181, TCP, "zookeeper"),
    (2375, TCP, "docker"),
    (2376, TCP, "docker-s"),
    (2379, TCP, "etcd-client"),
    (2380, TCP, "etcd-server"),
    (3128, TCP, "squid-http"),
    (3260, TCP, "iscsi-target"),
    (3268, TCP, "msft-gc"),
    (3306, TCP, "mysql"),
    (3389, BOTH, "ms-wbt-server"),
    (3478, BOTH, "stun"),
    (3544, UDP, "teredo"),
    (3702, UDP, "ws-discovery"),
    (3784, UDP, "bfd-control"),
    (3868, TCP, "diameter"),
    (4500, UDP, "ipsec-nat-t"),
    (4739, BOTH, "ipfix"),
    (4789, UDP, "vxlan"),
    (5004, UDP, "rtp"),
    (5060, BOTH, "sip"),
    (5061, TCP, "sips"),
    (5222, TCP, "xmpp-client"),
    (5246, UDP, "capwap-control"),
    (5247, UDP, "capwap-data"),
    (5269, TCP, "xmpp-server"),
    (5349, BOTH, "stuns"),
    (5351, UDP, "nat-pmp"),
    (5353, UDP, "mdns"),
    (5355, UDP, "llmnr"),
    (5432, TCP, "postgresql"),
    (5671, TCP, "amqps"),
    (5672, TCP, "amqp"),
    (5683, UDP, "coap"),
    (5684, UDP, "coaps"),
    (5900, TCP, "rfb"),
    (5985, TCP, "wsman"),
    (5986, TCP, "wsmans"),
    (6081, UDP, "geneve"),
    (6343, UDP, "sflow"),
    (6379, TCP, "redis"),
    (6443, TCP, "kubernetes"),
    (6514, TCP, "syslog-tls"),
    (6667, TCP, "ircu"),
    (6881, BOTH, "bittorrent"),
    (8080, TCP, "http-alt"),
    (8443, TCP, "https-alt"),
    (8883, TCP, "secure-mqtt"),
    (9042, TCP, "cassandra"),
    (9090, TCP, "prometheus"),
    (9092, TCP, "kafka"),
    (9100, TCP, "pdl-datastream"),
    (9200, TCP, "elasticsearch"),
    (9418, TCP, "git"),
    (9995, UDP, "palace-4"),
    (10050, TCP, "zabbix-agent"),
    (11211, BOTH, "memcache"),
    (25565, TCP, "minecraft"),
    (27017, TCP, "mongodb"),
    (51820, UDP, "wireguard"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_sorted() {
        assert!(PORTS.is_sorted_by_key(|entry| entry.0));
    }

    #[test]
    fn port_has_a_name_in_each_protocol() {
        assert_eq!(port(443, None), Some("https"));
        assert_eq!(port(514, Some(6)), Some("shell"));
        assert_eq!(port(514, Some(17)), Some("syslog"));
        assert_eq!(port(22, Some(17)), None);
        assert_eq!(port(53, Some(1)), None);
        assert_eq!(port(65000, None), None);
    }
}
