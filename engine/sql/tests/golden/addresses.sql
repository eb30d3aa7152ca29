SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr << '10.0.0.0/8' ORDER BY 1;
SELECT DISTINCT ipv4_src_addr FROM big_backbone_router WHERE ipv4_src_addr <<= '10.0.0.0/15' ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE '2001:db8::/32' >> inet_src_addr ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE '10.0.0.2' >>= inet_src_addr ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr && '172.16.0.0/12'::cidr ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr = '10.0.0.2' OR '2001:db8::1' = inet_src_addr ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr BETWEEN '10.0.0.2' AND '10.1.0.1' ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr IN ('10.0.0.1', '2001:db8::/32') ORDER BY 1;
SELECT DISTINCT ipv4_src_addr FROM big_backbone_router WHERE ipv4_src_addr NOT IN ('10.0.0.1', '10.1.0.0/16', '::1') ORDER BY 1;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr > '203.0.113.0' ORDER BY 1 LIMIT 2;
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr = '10.0.0.0/8';
SELECT DISTINCT inet_src_addr FROM big_backbone_router WHERE inet_src_addr = 'ten';
SELECT count(*) FROM big_backbone_router WHERE NOT ipv4_src_addr = '::1';
SELECT '10.1.0.0/16' << '10.0.0.0/8', '10.0.0.0/8' <<= '10.0.0.0/8', '10.0.0.0/8' << '10.0.0.0/8',
       '10.0.0.0/8' && '10.1.0.0/16', '10.0.0.0/8' >> '10.1.0.0/16', '::/0' >>= '10.0.0.0/8';
SELECT DISTINCT inet_src_addr AS a, family(inet_src_addr) AS f, masklen(inet_src_addr) AS l, host(ipv4_src_addr) AS h,
       network(inet_src_addr, 16, 32) AS n, network_text(inet_src_addr, 24) AS t, is_private(inet_src_addr) AS p,
       is_global(inet_src_addr) AS g, is_link_local(inet_src_addr) AS k
FROM big_backbone_router ORDER BY 1;
SELECT DISTINCT inet_dst_addr, is_multicast(inet_dst_addr), is_loopback(inet_dst_addr), text(inet_dst_addr),
       inet_dst_addr::text AS t, CAST(ipv4_dst_addr AS VARCHAR) FROM big_backbone_router ORDER BY 1;
SELECT masklen('10.0.0.0/8'), family('::1'), inet('10.0.0.1'), '::1'::inet, host('10.0.0.1'), is_private('10.0.0.1');
SELECT net, f_count(), min(in_bytes) FROM big_backbone_router JOIN services ON in_network(inet_src_addr, net) GROUP BY net ORDER BY net;
SELECT net, raw_count() FROM big_backbone_router JOIN services ON inet_src_addr << net GROUP BY net ORDER BY net;
SELECT count(*) FROM big_backbone_router WHERE cidr_contains('10.0.0.0/8', ipv4_src_addr);
SELECT network(inet_src_addr, 40) FROM big_backbone_router;
SELECT raw_count() FROM big_backbone_router a JOIN big_backbone_router b ON a.inet_src_addr = b.ipv4_dst_addr;
SELECT inet('x');
SELECT 1 << 3, 12 >> 2, 5 & 4;
