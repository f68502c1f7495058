//! Refuses an incoming table that others may have made, can write to, or can read.
//!
//! Its name can be guessed, so that a run which goes on must not take for its
//! own whatever has that name.

use sqlx::{PgConnection, Row as _};

use super::{ReplaceError, Replacement, inspect};
use crate::names::TableName;

/// What a run has made is a logged table of its role, without children, on
/// which nobody else holds a privilege. PostgreSQL itself makes triggers for
/// its foreign keys and for constraints that are DEFERRABLE.
const FIND_INCOMING: &str = "
SELECT pg_get_userbyid(c.relowner) = current_user AS is_own,
       c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition
       AND NOT c.relrowsecurity AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent)
       ) AS is_plain,
       EXISTS (
           SELECT FROM pg_catalog.pg_trigger AS t
           WHERE t.tgrelid = c.oid AND NOT (t.tgisinternal AND EXISTS (
               SELECT FROM pg_catalog.pg_constraint AS own
               WHERE own.oid = t.tgconstraint AND own.conrelid = c.oid
           ))
       ) OR EXISTS (
           SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid
       ) AS has_actions,
       EXISTS (
           SELECT FROM aclexplode(c.relacl) AS granted WHERE granted.grantee <> c.relowner
       ) OR EXISTS (
           SELECT FROM pg_catalog.pg_attribute AS a, aclexplode(a.attacl) AS granted
           WHERE a.attrelid = c.oid AND granted.grantee <> c.relowner
       ) AS is_shared
FROM pg_catalog.pg_class AS c
WHERE c.oid = to_regclass($1)";

/// Checks the incoming tables of a run that goes on, and that the targets can
/// still be replaced.
///
/// All targets that the run replaces are given together, as when they were made.
pub(crate) async fn check_incoming(
    conn: &mut PgConnection,
    all: &[Replacement],
) -> Result<(), ReplaceError> {
    for replacement in all {
        if let Some(fault) = fault(find(conn, &replacement.incoming).await?.as_ref()) {
            let (target, table) = (replacement.target.clone(), replacement.incoming.clone());
            return Err(ReplaceError::IncomingUnfit { target, table, fault });
        }
        inspect::check(conn, replacement, all).await?;
    }
    Ok(())
}

/// What the catalogue says of a relation that has the name of an incoming table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Incoming {
    owner: Owner,
    kind: Kind,
    actions: Actions,
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    This,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Other,
}

/// Triggers and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Actions {
    OwnConstraints,
    Others,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    OwnerAlone,
    Others,
}

async fn find(
    conn: &mut PgConnection,
    incoming: &TableName,
) -> Result<Option<Incoming>, ReplaceError> {
    let row = sqlx::query(FIND_INCOMING).bind(incoming.to_sql()).fetch_optional(conn).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Incoming {
        owner: if row.try_get("is_own")? { Owner::This } else { Owner::Other },
        kind: if row.try_get("is_plain")? { Kind::Plain } else { Kind::Other },
        actions: if row.try_get("has_actions")? {
            Actions::Others
        } else {
            Actions::OwnConstraints
        },
        access: if row.try_get("is_shared")? { Access::Others } else { Access::OwnerAlone },
    }))
}

/// What is wrong with it, and what to do.
fn fault(found: Option<&Incoming>) -> Option<&'static str> {
    let Some(found) = found else {
        return Some("is gone: begin again with --run new");
    };
    if found.owner == Owner::Other {
        return Some(
            "belongs to another role: go on with the role that began the run, or begin again with --run new",
        );
    }
    if found.kind == Kind::Other {
        return Some(
            "is not the plain, logged table that the run made: begin again with --run new",
        );
    }
    if found.actions == Actions::Others {
        return Some(
            "has triggers or rules, or others refer to it: drop them, or begin again with --run new",
        );
    }
    if found.access == Access::Others {
        return Some(
            "is open to other roles: revoke what they were granted on it, or begin again with --run new",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Incoming = Incoming {
        owner: Owner::This,
        kind: Kind::Plain,
        actions: Actions::OwnConstraints,
        access: Access::OwnerAlone,
    };

    #[test]
    fn what_the_run_made_is_taken() {
        assert_eq!(fault(Some(&OURS)), None);
    }

    #[test]
    fn what_others_may_have_a_hand_in_is_refused() {
        let faults = [
            (Incoming { owner: Owner::Other, ..OURS }, "belongs to another role"),
            (Incoming { kind: Kind::Other, ..OURS }, "is not the plain, logged table"),
            (Incoming { actions: Actions::Others, ..OURS }, "has triggers or rules"),
            (Incoming { access: Access::Others, ..OURS }, "is open to other roles"),
        ];
        for (found, words) in faults {
            let text = fault(Some(&found)).expect("a fault");
            assert!(text.starts_with(words) && text.ends_with("--run new"), "{text}");
        }
        assert!(fault(None).is_some_and(|text| text.starts_with("is gone")));
    }
}
