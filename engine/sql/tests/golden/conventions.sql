SELECT protocol, round(sum(in_pkts) / (3600) / 1000) AS f_sum_in_pkts FROM big_backbone_router
WHERE ctimestamp > 3660 AND ctimestamp < 1 GROUP BY protocol ORDER BY protocol;

-- A star is the column of the alias.
SELECT count(*) AS f_countdistinct_inet_src_addr, max(1) AS f_max_in_bytes, count(*) AS f_min_in_bytes,
       sum(in_pkts) AS f_avg_in_pkts, sum(src_as) AS f_hll_src_as FROM big_backbone_router;

SELECT f_hll(inet_src_addr, 0.0001) AS f_hll_src FROM big_backbone_router;

-- By the alias, as in SQL.
SELECT protocol, sum(both_bytes) AS f_sum_both_bytes FROM big_backbone_router
GROUP BY protocol HAVING f_sum_both_bytes > 1000 ORDER BY f_sum_both_bytes DESC;

SELECT $_kntq$it's a text$_kntq$ AS t, count(*) FROM big_backbone_router WHERE kflow_http_host = $_kntq$a.example$_kntq$;

SELECT in_bytes FROM big_backbone_router WHERE ctimestamp BETWEEN 3660 AND 8000;
SELECT in_bytes FROM big_backbone_router WHERE ctimestamp > 1;
SELECT count(*) FROM big_backbone_router WHERE ctimestamp > 1000000000;

SELECT protocol, count(*) FROM big_backbone_router WHERE protocol NOT IN (6, 58) GROUP BY protocol ORDER BY 1;
;;
