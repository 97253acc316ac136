//! The contract of `AuditRecorder`.

use repartee_application::ports::AuditRecorder;
use repartee_infrastructure::persistence::SeaAuditRecorder;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::entry,
};

on_both_databases!(what_happened_outside_of_a_transaction_is_kept);

async fn what_happened_outside_of_a_transaction_is_kept(db: &TestDatabase) {
    let recorder = SeaAuditRecorder::new(db.db.clone());

    recorder.record(entry()).await.unwrap();
    recorder.record(entry()).await.unwrap();

    assert_eq!(db.count("audit_logs").await, 2);
}
