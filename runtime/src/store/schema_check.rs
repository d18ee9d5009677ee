//! Whether a database has what the steps to its version make, and nothing else: a file that only says that it is a store would
//! fail later, and a trigger that somebody added would run with every event.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use crate::delivery::StoreError;

/// What `ANALYZE` makes; whoever looks after a database may do that.
const STATISTICS: [&str; 2] = ["sqlite_stat1", "sqlite_stat4"];

/// By kind and name, both quoted: the table that it is of, and the SQL that made it.
type Schema = BTreeMap<(String, String), (String, String)>;

/// The first thing that is missing, different or foreign. The steps have not been taken yet that lead further.
pub(super) fn difference(db: &Connection, steps: &[&str]) -> Result<Option<String>, StoreError> {
    let fresh = Connection::open_in_memory()?;
    steps.iter().try_for_each(|step| fresh.execute_batch(step))?;
    let (expected, found) = (schema(&fresh)?, schema(db)?);
    if let Some(words) = difference_of(&expected, &found) {
        return Ok(Some(words));
    }
    match expected.contains_key(&("'table'".to_owned(), "'total'".to_owned())) {
        true => totals(db),
        false => Ok(None),
    }
}

fn difference_of(expected: &Schema, found: &Schema) -> Option<String> {
    for (thing @ (kind, name), made) in expected {
        match found.get(thing) {
            None => return Some(format!("its {} {} is missing", short(kind), short(name))),
            Some(other) if other != made => return Some(format!("its {} {} is another", short(kind), short(name))),
            Some(_) => {}
        }
    }
    let ((kind, name), (table, _)) = found.iter().find(|(thing, _)| !expected.contains_key(*thing))?;
    let (kind, name, table) = (short(kind), short(name), short(table));
    Some(format!("it has a {kind} {name} on {table} that no Palisade made"))
}

/// The one row that the numbers of dead letters are in.
fn totals(db: &Connection) -> Result<Option<String>, StoreError> {
    let rows: i64 = db.query_row("SELECT count(*) FROM total", [], |row| row.get(0))?;
    Ok((rows != 1).then(|| format!("its table 'total' has {rows} rows instead of one")))
}

fn schema(db: &Connection) -> Result<Schema, StoreError> {
    let mut select = db.prepare("SELECT quote(type), quote(name), quote(tbl_name), quote(sql) FROM sqlite_schema")?;
    let thing = |row: &Row<'_>| Ok(((text(row, 0)?, text(row, 1)?), (text(row, 2)?, text(row, 3)?)));
    let things = select.query_map([], thing)?;
    let mut schema = things.collect::<Result<Schema, rusqlite::Error>>()?;
    for name in STATISTICS {
        schema.remove(&("'table'".to_owned(), format!("'{name}'")));
    }
    Ok(schema)
}

/// Whatever somebody wrote there.
fn text(row: &Row<'_>, column: usize) -> Result<String, rusqlite::Error> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?).into_owned())
}

/// Fit for a line of the log.
fn short(quoted: &str) -> String {
    quoted
        .trim_matches('\'')
        .chars()
        .take(64)
        .flat_map(char::escape_debug)
        .collect()
}
