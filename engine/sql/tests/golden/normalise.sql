SELECT sum(in_bytes), avg(in_bytes), count(*), count(1), count(in_bytes), max(in_bytes), min(in_bytes)
FROM big_backbone_router;
SELECT f_sum(in_bytes), f_avg(in_bytes), f_count(), f_count(*), f_count(in_bytes), f_max(in_bytes), f_min(in_bytes)
FROM big_backbone_router;
SELECT raw_sum(in_bytes), raw_avg(in_bytes), raw_count(), raw_count(*), raw_count(in_bytes) FROM big_backbone_router;
SELECT sum(in_bytes + out_bytes), sum(in_bytes * 8), sum(CAST(in_bytes AS DOUBLE)), sum(protocol) FROM big_backbone_router;
SELECT f_sum(in_bytes) FILTER (WHERE protocol = 17), f_count() FILTER (WHERE protocol = 17) FROM big_backbone_router;
SELECT f_sum(in_bytes), f_count(), f_avg(in_bytes) FROM big_backbone_router WHERE protocol = 99;
SELECT protocol, f_sum(in_bytes) FILTER (WHERE in_bytes > 400), f_count(in_bytes), f_avg(in_bytes) FROM big_backbone_router
GROUP BY protocol ORDER BY protocol;
SELECT f_sum_error(in_bytes), f_count_error() FROM big_backbone_router;
SELECT f_sum_error(in_bytes), f_count_error() FROM big_backbone_router WHERE NOT i_fast_dataset;
SET flow.normalise = false;
SELECT sum(in_bytes), avg(in_bytes), count(*), f_sum(in_bytes), f_count() FROM big_backbone_router;
SELECT sum(in_bytes) AS f_sum_in_bytes FROM big_backbone_router;
SET flow.normalise = true;
SELECT sum(in_bytes), count(*) FROM big_backbone_router;
SELECT f_sum(DISTINCT in_bytes) FROM big_backbone_router;
SELECT f_percentile(b, 100), f_percentile(b, 50) FROM
  (SELECT l4_dst_port, f_sum(in_bytes) AS b FROM big_backbone_router GROUP BY l4_dst_port);
SELECT f_percentile(in_bytes, 101) FROM big_backbone_router;
