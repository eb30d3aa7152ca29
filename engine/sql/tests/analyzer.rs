//! Where normalisation finds its sampling rate, and where there is none to find.

mod common;

use common::{ask, refused};

#[tokio::test]
async fn rate_is_that_of_the_arguments_table_in_a_join() {
    let joined =
        ask("SELECT f_sum(a.in_bytes), sum(a.in_bytes), f_count(a.in_bytes) FROM big_backbone_router a
         JOIN services s ON a.l4_dst_port = s.port")
        .await;
    let plain = ask("SELECT f_sum(in_bytes), sum(in_bytes), f_count(in_bytes) FROM big_backbone_router
         WHERE l4_dst_port IN (443, 53)")
    .await;
    assert_eq!(joined, plain);
}

#[tokio::test]
async fn count_of_a_join_with_a_table_of_names_counts_flows() {
    let joined =
        ask("SELECT count(*), f_count() FROM big_backbone_router JOIN services ON l4_dst_port = port").await;
    let plain =
        ask("SELECT f_count(*), f_count() FROM big_backbone_router WHERE l4_dst_port IN (443, 53)").await;
    assert_eq!(joined, plain);
}

#[tokio::test]
async fn rate_that_could_be_of_two_tables_is_asked_for() {
    let both = "FROM big_backbone_router a JOIN big_backbone_router b ON a.inet_src_addr = b.inet_dst_addr";
    assert!(refused(&format!("SELECT f_count() {both}")).await.contains("name one table"));
    assert!(
        refused(&format!("SELECT f_sum(a.in_bytes + b.in_bytes) {both}")).await.contains("name one table")
    );
    let one =
        ask(&format!("SELECT f_sum(b.in_bytes) / 2 = f_sum(b.in_bytes / 2), f_count(a.protocol) > 0 {both}"))
            .await;
    assert_eq!(one, ["true | true"]);
    // Plain SQL stays plain where normalisation has no meaning.
    let plain = ask(&format!("SELECT count(*) = raw_count() {both}")).await;
    assert_eq!(plain, ["true"]);
}

#[tokio::test]
async fn rate_is_found_through_subqueries_tables_of_a_with_and_aliases() {
    let plain = ask("SELECT f_sum(in_bytes), f_count() FROM big_backbone_router WHERE protocol = 6").await;
    for sql in [
        "SELECT f_sum(in_bytes), f_count() FROM (SELECT * FROM big_backbone_router WHERE protocol = 6) t",
        "WITH tcp AS (SELECT in_bytes, sample_rate FROM big_backbone_router WHERE protocol = 6)
         SELECT sum(in_bytes), count(*) FROM tcp",
        "SELECT f_sum(x.b), f_count(x.p)
         FROM (SELECT in_bytes AS b, protocol AS p, sample_rate FROM big_backbone_router) AS x WHERE x.p = 6",
        "SELECT f_sum(in_bytes), f_count() FROM (SELECT * FROM big_backbone_router WHERE in_bytes < 1000 AND protocol = 6
         UNION ALL SELECT * FROM big_backbone_router WHERE (in_bytes >= 1000 OR in_bytes IS NULL) AND protocol = 6)",
        "SELECT (SELECT f_sum(in_bytes) FROM big_backbone_router WHERE protocol = 6),
                (SELECT count(*) FROM big_backbone_router WHERE protocol = 6)",
    ] {
        assert_eq!(ask(sql).await, plain, "{sql}");
    }
}

#[tokio::test]
async fn values_without_a_rate_count_as_they_are() {
    let raw = ask("SELECT raw_sum(in_bytes), raw_count(), raw_count(*) FROM big_backbone_router").await;
    let without =
        ask("SELECT f_sum(in_bytes), f_count(), count(*) FROM (SELECT in_bytes FROM big_backbone_router)")
            .await;
    assert_eq!(without, raw);
    assert_eq!(
        ask("SELECT f_sum(port), sum(port), f_count(), count(*) FROM services").await,
        ["496 | 496 | 2 | 2"]
    );
}

#[tokio::test]
async fn sum_of_sums_is_normalised_once() {
    let once = ask("SELECT f_sum(in_bytes) FROM big_backbone_router").await;
    for sql in [
        "SELECT f_sum(b) FROM (SELECT sample_rate, f_sum(in_bytes) AS b FROM big_backbone_router GROUP BY sample_rate)",
        "SELECT sum(in_bytes) FROM (SELECT protocol, sum(in_bytes) AS in_bytes FROM big_backbone_router GROUP BY protocol)",
        "SELECT sum(in_bytes) FROM
         (SELECT sample_rate, sum(in_bytes) AS in_bytes FROM big_backbone_router GROUP BY sample_rate)",
    ] {
        assert_eq!(ask(sql).await, once, "{sql}");
    }
}

#[tokio::test]
async fn rows_that_are_not_flows_are_counted_plainly() {
    assert_eq!(ask("SELECT count(*) FROM (SELECT * FROM big_backbone_router LIMIT 3)").await, ["3"]);
    assert_eq!(
        ask("SELECT count(*) FROM (SELECT DISTINCT protocol, sample_rate FROM big_backbone_router)").await,
        ["8"]
    );
    assert_eq!(
        ask("SELECT count(*) FROM (SELECT sample_rate, sum(in_bytes) FROM big_backbone_router GROUP BY 1)")
            .await,
        ["6"]
    );
}

#[tokio::test]
async fn window_functions_are_normalised() {
    let windows = ask(
        "SELECT DISTINCT protocol, f_sum(in_bytes) OVER (PARTITION BY protocol), sum(in_bytes) OVER (PARTITION BY protocol),
                count(*) OVER (PARTITION BY protocol), f_count() OVER (PARTITION BY protocol)
         FROM big_backbone_router ORDER BY protocol",
    )
    .await;
    let groups = ask("SELECT protocol, f_sum(in_bytes), sum(in_bytes), f_count(*), f_count()
         FROM big_backbone_router GROUP BY protocol ORDER BY protocol")
    .await;
    assert_eq!(windows, groups);
}

#[tokio::test]
async fn window_that_slides_forgets_what_left_it() {
    let slid = ask(
        "SELECT in_pkts, f_sum(in_bytes) OVER w, f_avg(in_bytes) OVER w FROM
         (SELECT in_pkts, in_bytes, sample_rate FROM big_backbone_router WHERE in_bytes IS NULL OR in_bytes > 49000)
         WINDOW w AS (ORDER BY in_pkts ROWS BETWEEN CURRENT ROW AND CURRENT ROW) ORDER BY in_pkts",
    )
    .await;
    assert_eq!(slid, ["10 | NULL | NULL", "40 | 3200000 | 50000.0", "70 | 90000 | 90000.0"]);
}

#[tokio::test]
async fn sum_over_sums_in_a_window_is_normalised_once() {
    let running =
        ask("SELECT sum(f_sum(in_bytes)) OVER () FROM big_backbone_router GROUP BY protocol LIMIT 1").await;
    assert_eq!(running, ask("SELECT f_sum(in_bytes) FROM big_backbone_router").await);
}

#[tokio::test]
async fn columns_keep_the_names_that_the_user_wrote() {
    let explained = ask("EXPLAIN SELECT sum(in_bytes), count(*) FROM big_backbone_router").await.join("\n");
    assert!(explained.contains("sum(big_backbone_router.in_bytes)"), "{explained}");
    assert!(explained.contains("sample_rate"), "{explained}");
    assert!(explained.contains("count(*)"), "{explained}");
}

#[tokio::test]
async fn test_of_a_network_is_a_range_of_numbers_in_the_plan() {
    let explained =
        ask("EXPLAIN SELECT protocol FROM big_backbone_router WHERE ipv4_src_addr << '10.0.0.0/8'").await;
    let explained = explained.join("\n");
    let range = ["ipv4_src_addr >= UInt32(167772160)", "ipv4_src_addr <= UInt32(184549375)"];
    for part in range {
        assert!(explained.contains(part), "{explained}");
    }
    let function =
        "EXPLAIN SELECT protocol FROM big_backbone_router WHERE in_network(ipv4_src_addr, '10.0.0.0/8')";
    let function = ask(function).await.join("\n");
    for part in range {
        assert!(function.contains(part), "{function}");
    }
}

#[tokio::test]
async fn grouping_sets_and_distinct_on_work_beside_normalisation() {
    let sets = ask(
        "SELECT protocol, f_sum(in_bytes) FROM big_backbone_router GROUP BY GROUPING SETS ((protocol), ())
         ORDER BY protocol NULLS LAST",
    )
    .await;
    assert_eq!(sets.len(), 4);
    let whole = ask("SELECT f_sum(in_bytes) FROM big_backbone_router").await;
    assert_eq!(sets[3], format!("NULL | {}", whole[0]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    for (sql, reason) in [
        ("SELECT f_sum(kflow_http_host) FROM big_backbone_router", "f_sum takes a number, not Utf8View"),
        ("SELECT f_sum(in_bytes, 1, 2) FROM big_backbone_router", "f_sum takes 1 to 2 arguments, not 3"),
        ("SELECT f_count(DISTINCT protocol) FROM big_backbone_router", "f_count takes no DISTINCT"),
        ("SELECT f_max() FROM big_backbone_router", "f_max takes one argument, not 0"),
        ("SELECT hll_merge(in_bytes) FROM big_backbone_router", "hll_merge takes sketches"),
        ("SELECT protocol_name('tcp')", "protocol_name takes a whole number, not Utf8"),
        ("SELECT host(in_bytes) FROM big_backbone_router", "host takes an address as argument 1, not Int64"),
        (
            "SELECT 1 FROM big_backbone_router WHERE in_network(inet_src_addr, '10.0.0.0/33')",
            "'10.0.0.0/33' is no network",
        ),
        ("SELECT 1 FROM big_backbone_router WHERE inet_src_addr << 'x'", "'x' is no network"),
        ("SELECT 1 FROM big_backbone_router WHERE inet_src_addr IN ('x')", "'x' is no address"),
    ] {
        let error = refused(sql).await;
        assert!(error.contains(reason), "{sql}\n{error}");
    }
}

#[tokio::test]
async fn alias_decides_within_an_explained_query_too() {
    let explained =
        ask("EXPLAIN SELECT sum(protocol) AS f_count_protocol FROM big_backbone_router").await.join("\n");
    assert!(
        explained.contains("f_count(big_backbone_router.protocol, big_backbone_router.sample_rate)"),
        "{explained}"
    );
}
