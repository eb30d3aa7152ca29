SELECT f_countdistinct(inet_src_addr), f_countdistinct(ipv4_src_addr), f_hll(l4_dst_port), f_hll(kflow_http_host, 0.01),
       f_countdistinct(in_bytes) FROM big_backbone_router;
SELECT protocol, f_countdistinct(inet_src_addr), f_countdistinct(inet_src_addr) FILTER (WHERE in_pkts > 1)
FROM big_backbone_router GROUP BY protocol ORDER BY protocol;
SELECT hll_estimate(hll_merge(s)), round(hll_error(hll_merge(s)) * 1000) AS e FROM
  (SELECT protocol, hll_sketch(inet_src_addr) AS s FROM big_backbone_router GROUP BY protocol);
SELECT hll_estimate(hll_merge(s)) FROM
  (SELECT hll_sketch(inet_src_addr) AS s FROM big_backbone_router UNION ALL SELECT hll_sketch(ipv4_src_addr) FROM big_backbone_router);
SELECT f_countdistinct(inet_src_addr), hll_estimate(hll_sketch(in_bytes)) FROM big_backbone_router WHERE protocol = 99;
SELECT hll_estimate(X'00');
