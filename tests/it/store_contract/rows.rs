//! Rows by key and by range.

use super::fixtures::*;
use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::ids::ReplicaId;

/// Rows stand where their keys stand; absent ones are `None`, and a key may be asked for twice.
pub async fn rows_come_back_in_the_order_of_the_keys(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &put([(record("a"), 1), (record("b"), 2), (record("c"), 3)]), &head(0)).await.unwrap();
    let keys = ["c", "x", "a", "c", "b", ""].map(record);
    let rows = reader(store).await.rows(ws, &keys).await.unwrap();
    assert_eq!(rows, [Some(row(3)), None, Some(row(1)), Some(row(3)), Some(row(2)), None]);
    assert_eq!(reader(store).await.rows(ws, &[]).await.unwrap(), []);
}

/// No number of keys is too large, or falls between two sizes of statements.
pub async fn any_number_of_keys_can_be_read(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let rows = (0..700).map(|n| (record(&n.to_string()), Some(Arc::new(row(n))))).collect();
    write(store, ws, &WriteBatch { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    let mut reader = reader(store).await;
    for count in [1, 2, 3, 5, 64, 65, 255, 256, 257, 513, 1_000] {
        let keys: Vec<Key> = (0..count).map(|n| record(&n.to_string())).collect();
        let rows = reader.rows(ws, &keys).await.unwrap();
        let expected: Vec<_> = (0..count).map(|n| (n < 700).then(|| row(n))).collect();
        assert_eq!(rows, expected);
    }
}

/// A write replaces the row of its key; one without a row deletes it, also when there is none.
pub async fn a_row_is_replaced_and_deleted(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &put([(record("a"), 1), (record("b"), 1)]), &head(0)).await.unwrap();
    let rows = [(record("a"), Some(row(2))), (record("b"), None), (record("c"), None)];
    write(store, ws, &batch(rows, Vec::new()), &head(0)).await.unwrap();
    let rows = reader(store).await.rows(ws, &["a", "b", "c"].map(record)).await.unwrap();
    assert_eq!(rows, [Some(row(2)), None, None]);
}

/// Of several writes of one row in one transaction the last one counts, deletions included.
pub async fn the_last_write_of_a_transaction_counts(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    writer.write(ws, &put([(record("a"), 1), (record("b"), 1)]), &head(1)).await.unwrap();
    writer.write(ws, &batch([(record("a"), None), (record("c"), None)], Vec::new()), &head(2)).await.unwrap();
    writer.write(ws, &put([(record("b"), 2), (record("c"), 2)]), &head(3)).await.unwrap();
    writer.commit().await.unwrap();
    let mut reader = reader(store).await;
    let rows = reader.rows(ws, &["a", "b", "c"].map(record)).await.unwrap();
    assert_eq!(rows, [None, Some(row(2)), Some(row(2))]);
    assert_eq!(reader.head(ws).await.unwrap(), Some(head(3)));
}

/// A range is sorted as its keys are: by numbers, also negative ones, and by text with the shorter first.
pub async fn a_range_is_in_order_from_either_end(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let conflict = ConflictId { opened_seq: Seq(1), index: 0 };
    let times = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX];
    let reminders: Vec<Key> = times.iter().map(|at| Key::Reminder(*at, conflict)).collect();
    let records = ["", "-", "0", "A", "a", "a-", "aa", "b"].map(record).to_vec();
    let all =
        reminders.iter().chain(&records).rev().map(|key| (key.clone(), Some(Arc::new(Row::Unit)))).collect();
    write(store, ws, &WriteBatch { rows: all, changes: Vec::new() }, &head(0)).await.unwrap();
    for (prefix, mut expected) in [(Prefix::Reminders, reminders), (Prefix::Records, records)] {
        assert_eq!(page(store, ws, &prefix, None, 99, Order::Ascending).await, (expected.clone(), false));
        expected.reverse();
        assert_eq!(page(store, ws, &prefix, None, 99, Order::Descending).await, (expected, false));
    }
}

/// Pages follow one another without gap or overlap, and say whether there is more.
pub async fn a_range_is_read_in_pages(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let all: Vec<Key> = (0..10).map(|n| record(&n.to_string())).collect();
    let rows = all.iter().map(|key| (key.clone(), Some(Arc::new(row(1))))).collect();
    write(store, ws, &WriteBatch { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let mut expected = all.clone();
        if order == Order::Descending {
            expected.reverse();
        }
        for limit in [1, 3, 5, 10, 11, usize::MAX] {
            let mut seen: Vec<Key> = Vec::new();
            loop {
                let (keys, more) = page(store, ws, &Prefix::Records, seen.last(), limit, order).await;
                seen.extend(keys);
                assert_eq!(more, seen.len() < all.len());
                if !more {
                    break;
                }
            }
            assert_eq!(seen, expected);
        }
        assert_eq!(page(store, ws, &Prefix::Records, None, 0, order).await, (Vec::new(), true));
        assert_eq!(page(store, ws, &Prefix::Records, expected.last(), 5, order).await, (Vec::new(), false));
    }
}

/// `after` need not exist, nor lie within the range: the page is what follows it, cut to the range.
pub async fn a_page_begins_after_any_key(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let field = |name: &str| Key::Field(id("r"), id(name));
    write(store, ws, &put([(field("b"), 1), (field("d"), 1), (record("z"), 1)]), &head(0)).await.unwrap();
    let prefix = Prefix::FieldsOf(id("r"));
    let keys = |after: Key, order| {
        let prefix = prefix.clone();
        async move { page(store, ws, &prefix, Some(&after), 9, order).await.0 }
    };
    assert_eq!(keys(field("c"), Order::Ascending).await, [field("d")]);
    assert_eq!(keys(field("c"), Order::Descending).await, [field("b")]);
    assert_eq!(keys(record("z"), Order::Ascending).await, [field("b"), field("d")]);
    assert_eq!(keys(record("z"), Order::Descending).await, []);
    assert_eq!(keys(Key::Request(id("q")), Order::Ascending).await, []);
    assert_eq!(keys(Key::Request(id("q")), Order::Descending).await, [field("d"), field("b")]);
}

/// What belongs to records whose ids follow each other is read as one range, both ends included.
pub async fn neighbours_are_read_together(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let records = ["a", "a-", "aa", "ab", "b"];
    let field = |name: &str| Key::Field(id(name), id("f"));
    let element = |name: &str| Key::Element(id(name), id("f"), [255; 16]);
    let scope = |name: &str| Key::Scope(Scope { record: id(name), part: ScopePart::Record });
    let all = records.iter().flat_map(|name| [record(name), field(name), element(name), scope(name)]);
    let rows = all.map(|key| (key, Some(Arc::new(Row::Unit)))).collect();
    write(store, ws, &WriteBatch { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    for (first, last) in [(0, 4), (1, 3), (2, 2), (0, 0), (4, 4)] {
        let (from, to): (syncline_core::ids::RecordId, syncline_core::ids::RecordId) =
            (id(records[first]), id(records[last]));
        let expected = &records[first..=last];
        for (prefix, key) in [
            (Prefix::FieldsBetween(from.clone(), to.clone()), &field as &dyn Fn(&str) -> Key),
            (Prefix::ElementsBetween(from.clone(), to.clone()), &element),
            (Prefix::ScopesBetween(from, to), &scope),
        ] {
            let expected: Vec<Key> = expected.iter().map(|name| key(name)).collect();
            assert_eq!(page(store, ws, &prefix, None, 99, Order::Ascending).await, (expected.clone(), false));
            assert!(expected.iter().all(|key| prefix.contains(key) && *key >= prefix.start()));
        }
    }
    let nothing = Prefix::FieldsBetween(id("aaa"), id("aaz"));
    assert_eq!(page(store, ws, &nothing, None, 99, Order::Ascending).await, (Vec::new(), false));
}

/// A range holds the keys of its prefix and no neighbour's.
pub async fn a_range_shows_only_its_own_keys(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let records = ["a", "a-", "aa", "b"];
    let mut rows = Vec::new();
    for name in records {
        let scope = |part| Key::Scope(Scope { record: id(name), part });
        rows.extend([
            record(name),
            Key::Field(id(name), id("a")),
            Key::Field(id(name), id("aa")),
            Key::Element(id(name), id("a"), [0; 16]),
            Key::Element(id(name), id("a"), [255; 16]),
            Key::Element(id(name), id("aa"), [0; 16]),
            Key::Backlink(id(name), id("b"), id("f")),
            scope(ScopePart::Record),
            scope(ScopePart::Link(id("f"), id("t"))),
        ]);
    }
    let rows = rows.into_iter().map(|key| (key, Some(Arc::new(Row::Unit)))).collect();
    write(store, ws, &WriteBatch { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    for name in records {
        for (prefix, count) in [
            (Prefix::FieldsOf(id(name)), 2),
            (Prefix::ElementsOf(id(name), id("a")), 2),
            (Prefix::BacklinksOf(id(name)), 1),
            (Prefix::ScopesOf(id(name)), 2),
        ] {
            let (keys, _) = page(store, ws, &prefix, None, 99, Order::Ascending).await;
            assert!(keys.iter().all(|key| prefix.contains(key)));
            assert_eq!(keys.len(), count, "{prefix:?}");
        }
    }
    assert_eq!(page(store, ws, &Prefix::Records, None, 99, Order::Ascending).await.0, records.map(record));
}

/// Every kind of key can be written, read and deleted.
pub async fn every_kind_of_key_can_be_stored(store: &dyn Store) {
    use syncline_core::operation::WaitOn;
    let ws = workspace(store, "w").await;
    let replica = ReplicaId(Uuid::max());
    let dot = Dot { replica, counter: Counter(u64::MAX) };
    let conflict = ConflictId { opened_seq: Seq(u64::MAX), index: u16::MAX };
    let keys = [
        Key::Schema,
        Key::Replica(replica),
        Key::ReplicaNumber(ReplicaNo(u32::MAX)),
        record("r"),
        Key::Member(id("things"), id("r")),
        Key::Field(id("r"), id("f")),
        Key::Element(id("r"), id("f"), [255; 16]),
        Key::Backlink(id("t"), id("r"), id("f")),
        Key::Conflict(conflict),
        Key::Scope(Scope { record: id("r"), part: ScopePart::Field(id("f")) }),
        Key::Reminder(i64::MIN, conflict),
        Key::Rejection(ReplicaNo(u32::MAX), Counter(u64::MAX)),
        Key::Held(dot),
        Key::Waiter(WaitOn::Operation(dot), dot),
        Key::HoldUsage(None),
        Key::HoldUsage(Some(replica)),
        Key::Wake(WaitOn::Record(id("r"))),
        Key::Request(id("q:1")),
    ];
    let all = |n: Option<u64>| {
        let rows = keys.iter().map(|key| (key.clone(), n.map(|n| Arc::new(row(n))))).collect();
        WriteBatch { rows, changes: Vec::new() }
    };
    write(store, ws, &all(Some(1)), &head(0)).await.unwrap();
    let rows = reader(store).await.rows(ws, &keys).await.unwrap();
    assert_eq!(rows, vec![Some(row(1)); keys.len()]);
    write(store, ws, &all(None), &head(0)).await.unwrap();
    let rows = reader(store).await.rows(ws, &keys).await.unwrap();
    assert_eq!(rows, vec![None; keys.len()]);
}

/// The same keys, positions and operations in two workspaces have nothing to do with each other.
pub async fn workspaces_never_mix(store: &dyn Store) {
    let [one, two] = [workspace(store, "one").await, workspace(store, "two").await];
    let own = |n| batch([(record("a"), Some(row(n))), (record("own"), None)], vec![change(1, 1, n)]);
    write(store, one, &own(1), &head(1)).await.unwrap();
    write(store, two, &own(2), &head(2)).await.unwrap();
    write(store, one, &put([(record("only-one"), 1)]), &head(1)).await.unwrap();
    let mut reader = reader(store).await;
    for (ws, n, records) in [(one, 1, 2), (two, 2, 1)] {
        assert_eq!(row_of(&mut *reader, ws, record("a")).await, Some(row(n)));
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), records);
        for order in [Order::Ascending, Order::Descending] {
            let page = reader.range(ws, &Prefix::Records, None, 9, order).await.unwrap();
            assert_eq!((page.rows.len() as u64, page.more), (records, false));
        }
        assert_eq!(reader.changes(ws, Seq(0), Seq(u64::MAX), 9).await.unwrap(), [change(1, 1, n)]);
        assert_eq!(reader.change_of(ws, ReplicaNo(1), Counter(3 - n)).await.unwrap(), None);
    }
    drop(reader);
    write(store, one, &batch([(record("a"), None)], Vec::new()), &head(1)).await.unwrap();
    assert_eq!(self::reader(store).await.count(two, &Prefix::Records).await.unwrap(), 1);
}

/// A count is the number of rows a range has.
pub async fn a_range_is_counted(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 0);
    let rows = [(record("a"), 1), (record("b"), 1), (Key::Field(id("a"), id("f")), 1)];
    write(store, ws, &put(rows), &head(0)).await.unwrap();
    let mut reader = reader(store).await;
    assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), 2);
    assert_eq!(reader.count(ws, &Prefix::FieldsOf(id("a"))).await.unwrap(), 1);
    assert_eq!(reader.count(ws, &Prefix::FieldsOf(id("b"))).await.unwrap(), 0);
    assert_eq!(reader.count(after(ws), &Prefix::Records).await.unwrap(), 0);
}
