SELECT DISTINCT protocol, protocol_name(protocol) FROM big_backbone_router ORDER BY 1;
SELECT DISTINCT l4_dst_port, port_name(l4_dst_port), port_name(l4_dst_port, protocol) FROM big_backbone_router ORDER BY 1;
SELECT DISTINCT tcp_flags, tcp_flags_text(tcp_flags) FROM big_backbone_router ORDER BY 1;
SELECT DISTINCT src_as, as_name(src_as), app_protocol_name(1), app_protocol_name(NULL) FROM big_backbone_router ORDER BY 1;
SELECT DISTINCT src_eth_mac, mac_text(src_eth_mac) FROM big_backbone_router ORDER BY 1 LIMIT 2;
