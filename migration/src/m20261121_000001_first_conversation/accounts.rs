//! Users and their login sessions.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, blob, boolean, pk_uuid, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::table::{drop_all, index, reference, unique};

const USERS: &str = "users";
const LOGIN_SESSIONS: &str = "login_sessions";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(users()).await?;
    for column in ["code", "email", "username_key"] {
        manager.create_index(unique(USERS, &[column])).await?;
    }

    manager.create_table(login_sessions()).await?;
    for column in ["refresh_token_hash", "replaces_id"] {
        manager.create_index(unique(LOGIN_SESSIONS, &[column])).await?;
    }
    for column in ["family_id", "user_id"] {
        manager.create_index(index(LOGIN_SESSIONS, &[column])).await?;
    }
    Ok(())
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[LOGIN_SESSIONS, USERS]).await
}

fn users() -> TableCreateStatement {
    Table::create()
        .table(USERS)
        .col(pk_uuid("id"))
        .col(text("code"))
        .col(text("email"))
        .col(text_null("username"))
        // The username, case-folded.
        .col(text_null("username_key"))
        .col(text("password_hash"))
        .col(text_null("first_name"))
        .col(text_null("last_name"))
        .col(text("role"))
        .col(text_null("language"))
        .col(text_null("preferences"))
        .col(boolean("is_active"))
        .col(timestamp_with_time_zone_null("email_verified_at"))
        .col(timestamp_with_time_zone_null("last_login_at"))
        .col(big_integer("failed_logins").default(0))
        .col(timestamp_with_time_zone_null("locked_until"))
        .col(timestamp_with_time_zone_null("erased_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(big_integer("version"))
        .take()
}

/// One row for each refresh token; those of one login session share `family_id`.
fn login_sessions() -> TableCreateStatement {
    Table::create()
        .table(LOGIN_SESSIONS)
        .col(pk_uuid("id"))
        .col(uuid("family_id"))
        .col(uuid("user_id"))
        // The token that was spent for this one.
        .col(uuid_null("replaces_id"))
        .col(blob("refresh_token_hash"))
        .col(text_null("user_agent"))
        .col(text_null("ip"))
        .col(timestamp_with_time_zone("signed_in_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone_null("rotated_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut reference(LOGIN_SESSIONS, "user_id", USERS, ForeignKeyAction::Cascade))
        .foreign_key(&mut reference(
            LOGIN_SESSIONS,
            "replaces_id",
            LOGIN_SESSIONS,
            ForeignKeyAction::SetNull,
        ))
        .take()
}
