//! The engine from batch to answer: durable, seen at once, once.

mod support;

use flowdb::{BatchIdentity, Delivery, Engine};
use kflow::body::ContentEncoding;
use support::{Directory, ask, base_ms, body, flow, open, send};

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_seen_as_soon_as_they_are_acknowledged() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let now = flowdb::clock::now_ms();
    let records: Vec<_> = (0..100).map(|source| flow(now, source, 443, 1000)).collect();
    let receipt = send(&engine, device, &records).await.expect("the log has room");
    assert_eq!((receipt.rows, receipt.is_repeated), (100, false));
    let (rows, report) = ask(&engine, "SELECT count(*), sum(in_bytes) FROM big_backbone_router").await;
    assert_eq!(rows, ["100|100000"]);
    assert_eq!((report.open, report.read), (1, 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart_sealed_or_not() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    for minute in 0..5 {
        let records: Vec<_> = (0..50).map(|source| flow(base + minute * 60_000, source, 80, 10)).collect();
        send(&engine, device, &records).await.expect("the log has room");
        if minute == 2 {
            let sealed = engine.seal_all().await.expect("the disk takes it");
            assert_eq!((sealed.slices, sealed.rows), (3, 150));
        }
    }
    let sql = "SELECT date_trunc('minute', i_start_time) AS minute, count(*), sum(in_pkts) \
               FROM big_backbone_router GROUP BY 1 ORDER BY 1";
    let (before, _) = ask(&engine, sql).await;
    assert_eq!(before.len(), 5);
    assert!(before.iter().all(|row| row.ends_with("|50|50")), "{before:?}");
    engine.close().await.expect("it closes");

    let engine = Engine::open_still(directory.config()).await.expect("it opens again");
    assert_eq!(engine.opening().replayed.rows, 100, "what was sealed is not in the log any more");
    let (after, report) = ask(&engine, sql).await;
    assert_eq!(after, before);
    assert_eq!((report.read + report.summarised + report.cached, report.open), (3, 2), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_again_counts_once_also_after_a_restart() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    let delivery = |sequence| Delivery {
        device: Some(device),
        identity: Some(BatchIdentity { sensor: "edge".to_owned(), epoch: 7, sequence }),
        encoding: ContentEncoding::Gzip,
        body: body(&[flow(base, 1, 443, 100)]),
    };
    assert!(!engine.ingest(delivery(1)).await.expect("it is taken").is_repeated);
    assert!(engine.ingest(delivery(1)).await.expect("it is known").is_repeated);
    assert!(!engine.ingest(delivery(2)).await.expect("it is taken").is_repeated);
    engine.seal_all().await.expect("the disk takes it");
    assert!(engine.ingest(delivery(1)).await.expect("it is known").is_repeated);
    engine.close().await.expect("it closes");

    let engine = Engine::open_still(directory.config()).await.expect("it opens again");
    assert!(engine.ingest(delivery(2)).await.expect("it is known").is_repeated);
    assert!(!engine.ingest(delivery(3)).await.expect("it is taken").is_repeated);
    let (rows, _) = ask(&engine, "SELECT count(*) FROM all_devices").await;
    assert_eq!(rows, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_was_asked_before_reads_new_minutes_only() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    for minute in 0..10 {
        let records: Vec<_> =
            (0..500).map(|source| flow(base + minute * 60_000, source % 7, 443, 100)).collect();
        send(&engine, device, &records).await.expect("the log has room");
    }
    engine.seal_all().await.expect("the disk takes it");
    let sql = "SELECT ipv4_src_addr, sum(in_bytes) FROM big_backbone_router WHERE l4_dst_port = 443 \
               GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3";
    let (first, report) = ask(&engine, sql).await;
    assert_eq!((report.read, report.cached), (10, 0), "{report:?}");
    let (second, report) = ask(&engine, sql).await;
    assert_eq!((report.read, report.cached), (0, 10), "{report:?}");
    assert_eq!(second, first);

    let late: Vec<_> = (0..500).map(|source| flow(base + 3 * 60_000, source % 7, 443, 100)).collect();
    send(&engine, device, &late).await.expect("the log has room");
    engine.seal_all().await.expect("the disk takes it");
    let (third, report) = ask(&engine, sql).await;
    assert_eq!((report.read, report.cached), (1, 10), "late rows cost one part: {report:?}");
    assert_ne!(third, first);
    engine.close().await.expect("it closes");

    let engine = Engine::open_still(directory.config()).await.expect("it opens again");
    let (fourth, report) = ask(&engine, sql).await;
    assert_eq!((report.read, report.cached), (0, 11), "the cache survives: {report:?}");
    assert_eq!(fourth, third);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_hour_are_joined_and_answers_stay_the_same() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    for round in 0..2 {
        for minute in 0..6 {
            let flows = (0..50).map(|source| flow(base + minute * 60_000, source, 80 + round, 10));
            send(&engine, device, &flows.collect::<Vec<_>>()).await.expect("the log has room");
        }
        engine.seal_all().await.expect("the disk takes it");
    }
    let sql = "SELECT l4_dst_port, count(*), sum(in_bytes) FROM big_backbone_router GROUP BY 1 ORDER BY 1";
    let (before, _) = ask(&engine, sql).await;
    assert_eq!(before, ["80|300|3000", "81|300|3000"]);
    let files = engine.store().stats();
    assert_eq!((files.full.parts, files.full.rows), (12, 600));
    engine.maintain(base + 3 * 3_600_000).await.expect("files are joined");
    let files = engine.store().stats();
    assert_eq!((files.full.parts, files.full.rows, files.fast.parts), (6, 600, 1), "{files:?}");
    let (after, _) = ask(&engine, sql).await;
    assert_eq!(after, before);
    engine.close().await.expect("it closes");

    let engine = Engine::open_still(directory.config()).await.expect("it opens again");
    assert_eq!(ask(&engine, sql).await.0, before);
    let day_ms = 86_400_000;
    engine.maintain(base + 31 * day_ms).await.expect("what is old goes");
    let files = engine.store().stats();
    assert_eq!((files.full.parts, files.fast.parts), (0, 1), "each series has its days: {files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_is_damaged_is_left_out_and_told_of() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    for minute in 0..3 {
        send(&engine, device, &[flow(base + minute * 60_000, 1, 80, 10)]).await.expect("the log has room");
    }
    engine.seal_all().await.expect("the disk takes it");
    let damaged = engine.store().all_parts().into_iter().find(|part| part.entry().first_ms == base);
    let file = directory.path().join(&damaged.expect("there is one").entry().file);
    let mut bytes = std::fs::read(&file).expect("it is there");
    let start = bytes.windows(4).position(|window| window == [0x28, 0xB5, 0x2F, 0xFD]).expect("a zstd frame");
    bytes[start + 8] ^= 1;
    std::fs::write(&file, bytes).expect("it can be written");
    let columns =
        "i_start_time, ctimestamp, sample_rate, protocol, l4_src_port, l4_dst_port, ipv4_src_addr, in_bytes";
    let sql = format!("SELECT count(*) FROM (SELECT {columns} FROM big_backbone_router GROUP BY {columns})");
    let (rows, report) = ask(&engine, &sql).await;
    assert_eq!(rows, ["2"]);
    assert_eq!((report.quarantined, report.read), (1, 2), "{report:?}");
    let (rows, report) = ask(&engine, "SELECT count(*) FROM big_backbone_router").await;
    assert_eq!(rows, ["2"], "once it is known nothing is answered from it");
    assert_eq!(report.quarantined, 1);
    let checked = engine.store().check().await;
    assert_eq!((checked.parts, checked.rows, checked.damaged.len()), (6, 5, 1), "{checked:?}");
    engine.store().set_aside(&checked.damaged).await.expect("files can be moved");
    let (rows, report) = ask(&engine, "SELECT count(*) FROM big_backbone_router").await;
    assert_eq!((rows, report.quarantined), (vec!["2".to_owned()], 0));
    assert!(!file.exists() && directory.path().join("quarantine").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_exact_to_the_millisecond() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    let flows: Vec<_> = (0..180).map(|second| flow(base + second * 1000, 1, 80, 10)).collect();
    send(&engine, device, &flows).await.expect("the log has room");
    engine.seal_all().await.expect("the disk takes it");
    for (condition, count) in [
        (format!("i_start_time > to_timestamp_millis({})", base + 60_000), 119),
        (format!("i_start_time >= to_timestamp_millis({})", base + 60_000), 120),
        (format!("i_start_time < to_timestamp_millis({})", base + 500), 1),
        (
            format!(
                "i_start_time BETWEEN to_timestamp_millis({}) AND to_timestamp_millis({})",
                base + 30_000,
                base + 90_000
            ),
            61,
        ),
        (format!("i_start_time = to_timestamp_millis({})", base + 7000), 1),
        (format!("i_start_time = to_timestamp_millis({})", base + 7001), 0),
        (format!("NOT (i_start_time > to_timestamp_millis({}))", base + 60_000), 61),
        (format!("i_start_time > to_timestamp_millis({}) OR l4_dst_port = 1", base + 60_000), 119),
    ] {
        let sql = format!("SELECT count(*) FROM big_backbone_router WHERE {condition}");
        assert_eq!(ask(&engine, &sql).await.0, [count.to_string()], "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_whole_slices_need_no_row_and_equal_those_of_rows() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let base = base_ms();
    for minute in 0..4 {
        let flows = (0..200).map(|source| {
            let mut flow =
                flow(base + minute * 60_000 + i64::from(source), source, 80, u64::from(source) * 7);
            flow.sample_rate = 1 + source % 3;
            flow
        });
        send(&engine, device, &flows.collect::<Vec<_>>()).await.expect("the log has room");
    }
    engine.seal_all().await.expect("the disk takes it");
    let of = "count(*), sum(in_bytes), sum(both_pkts), min(l4_dst_port), max(in_bytes), count(in_pkts)";
    for (columns, rest) in [
        (of.to_owned(), ""),
        (format!("date_trunc('minute', i_start_time) AS minute, {of}"), "GROUP BY 1 ORDER BY 1"),
        (format!("date_trunc('hour', i_start_time) AS hour, {of}"), "GROUP BY 1 ORDER BY 1"),
    ] {
        let summarised = format!("SELECT {columns} FROM big_backbone_router {rest}");
        let (answer, report) = ask(&engine, &summarised).await;
        assert_eq!((report.summarised, report.read), (4, 0), "{summarised}: {report:?}");
        let read = format!("SELECT {columns} FROM big_backbone_router WHERE l4_dst_port < 65536 {rest}");
        let (rows, report) = ask(&engine, &read).await;
        assert_eq!((report.summarised, report.read), (0, 4), "{read}: {report:?}");
        assert_eq!(answer, rows, "{summarised}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_differ_in_a_subquery_only_have_answers_of_their_own() {
    let directory = Directory::new();
    let (engine, device) = open(&directory).await;
    let flows: Vec<_> =
        (1..100).map(|source| flow(base_ms(), source, source % 3, u64::from(source))).collect();
    send(&engine, device, &flows).await.expect("the log has room");
    engine.seal_all().await.expect("the disk takes it");
    for least in [10, 50, 90, 10] {
        let sql = format!(
            "SELECT l4_dst_port, max(l4_src_port), min(in_bytes) FROM big_backbone_router \
             WHERE in_bytes >= (SELECT min(in_bytes) FROM big_backbone_router WHERE in_bytes >= {least}) \
             GROUP BY 1 ORDER BY min(in_bytes) LIMIT 1"
        );
        let (rows, _) = ask(&engine, &sql).await;
        assert_eq!(rows, [format!("{}|40000|{least}", least % 3)]);
    }
}
