-- The queries of the article that this engine answers.
SELECT protocol AS proto, ipv4_src_addr AS src_addr, l4_src_port AS sport, ipv4_dst_addr AS dst_addr,
       l4_dst_port AS dport, in_bytes AS bytes, in_pkts AS pkts
FROM big_backbone_router WHERE i_start_time > Now() - interval '5 seconds';

SELECT Sum(protocol) AS f_count_protocol FROM big_backbone_router
WHERE i_fast_dataset = FALSE AND i_start_time > Now() - interval '1 week';

SELECT Sum(both_bytes) AS f_sum_both_bytes, Sum(both_pkts) AS f_sum_both_pkts FROM big_backbone_router
WHERE i_start_time > Now() - interval '1 week';
