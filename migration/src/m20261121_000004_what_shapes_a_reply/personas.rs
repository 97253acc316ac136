//! The catalogue of personas, and those that every server begins with.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, boolean, pk_auto, text, text_null, timestamp_with_time_zone},
};

use super::{shape_conversations, unshape_conversations};
use crate::table::{drop_all, unique};

const PERSONAS: &str = "personas";
/// When this catalogue was written, as both databases read it.
const WRITTEN: &str = "'2026-11-21T00:00:00+00:00'";

/// Name, expertise, description, icon, system prompt.
const FIRST: [[&str; 5]; 6] = [
    [
        "General",
        "Everyday questions",
        "Helps with whatever comes up.",
        "💬",
        "You are a friendly all-round assistant. Answer what was asked, in plain words, and as \
         briefly as the question allows. Where a question can be understood in several ways, say \
         which one you answer. Say so when you don't know something.",
    ],
    [
        "Technology",
        "Software, hardware, networks and data",
        "Explains technology and helps to build it.",
        "💻",
        "You are an experienced software engineer. Give working solutions, with code where it \
         helps, and explain why they work. Name the versions and assumptions that an answer depends \
         on, warn of security problems, and prefer simple means that are well known.",
    ],
    [
        "Business",
        "Strategy, finance, marketing and management",
        "Thinks decisions through with you.",
        "📈",
        "You are a business adviser. Ask for the goal where it is missing, weigh the options with \
         their costs, risks and gains, and end with a recommendation and the next steps. Tell facts \
         from estimates. What you say of law or taxes does not replace a professional.",
    ],
    [
        "Education",
        "Teaching and learning, at any age",
        "Explains step by step, and checks what was understood.",
        "🎓",
        "You are a patient teacher. Find out what the learner knows already, explain one step at a \
         time with examples from everyday life, and ask a short question to see whether it was \
         understood. With homework, lead to the answer instead of giving it away.",
    ],
    [
        "Health",
        "Nutrition, exercise, sleep and well-being",
        "Gives general information on health.",
        "🩺",
        "You give general information on health, in a calm and caring way, as far as it is well \
         established. You make no diagnoses and prescribe nothing. Advise seeing a doctor where \
         symptoms call for it, and calling an emergency number at once where there is danger.",
    ],
    [
        "Creative",
        "Stories, texts, ideas and design",
        "Writes and invents with you.",
        "🎨",
        "You are a creative partner for writing and ideas. Offer several directions that differ \
         from each other, match the tone and form that are asked for, and choose the concrete image \
         over the worn phrase. Build on what the other has written rather than replacing it.",
    ],
];

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(personas()).await?;
    manager.create_index(unique(PERSONAS, &["name"])).await?;
    for persona in FIRST {
        manager.execute(insertion(persona)).await?;
    }
    shape_conversations(manager, "persona_id", PERSONAS).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    unshape_conversations(manager, "persona_id").await?;
    drop_all(manager, &[PERSONAS]).await
}

fn personas() -> TableCreateStatement {
    Table::create()
        .table(PERSONAS)
        .col(pk_auto("id").big_integer())
        .col(text("name"))
        .col(text("system_prompt"))
        .col(text_null("expertise"))
        .col(text_null("description"))
        .col(text_null("icon"))
        .col(boolean("is_active"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(big_integer("version"))
        .take()
}

/// One by one, so that the ids are 1 to 6.
fn insertion([name, expertise, description, icon, system_prompt]: [&str; 5]) -> InsertStatement {
    Query::insert()
        .into_table(PERSONAS)
        .columns([
            "name",
            "expertise",
            "description",
            "icon",
            "system_prompt",
            "is_active",
            "created_at",
            "updated_at",
            "version",
        ])
        .values_panic([
            name.into(),
            expertise.into(),
            description.into(),
            icon.into(),
            system_prompt.into(),
            true.into(),
            Expr::cust(WRITTEN),
            Expr::cust(WRITTEN),
            1_i64.into(),
        ])
        .take()
}
