//! From starting the server to its first healthy answer.

use anyhow::Result;

use super::{
    Site,
    figures::{Table, median, ms},
    process::Program,
    progress,
};

pub(super) async fn measure(site: &Site) -> Result<String> {
    let times = site.scaled(5, 3);
    progress(&format!("start: {times} times on a fresh database and on an existing one"));
    // Not counted: it reads the binary into the page cache, and on PostgreSQL it makes the tables.
    site.start_server("start-first").await?.stop().await?;
    let (mut upstream, mut fresh, mut existing) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..times {
        let name = format!("start-{n}");
        upstream.push(ms(Program::upstream(&site.upstream_binary).await?.started_in));
        for found in [&mut fresh, &mut existing] {
            let server = site.start_server(&name).await?;
            found.push(ms(server.started_in));
            server.stop().await?;
        }
    }
    if site.options.postgres.is_some() {
        // The database stays the same one, whatever directory the server has.
        existing.append(&mut fresh);
    }
    let upstream = median(upstream);
    let mut table = Table::new(&["start to healthy", "median ms", "× upstream's"]);
    let upstream_row = ("the upstream", upstream);
    let rows = [("fresh database", fresh), ("existing database", existing)];
    let medians = rows
        .into_iter()
        .filter(|(_, found)| !found.is_empty())
        .map(|(name, found)| (name, median(found)));
    for (name, found) in medians.chain([upstream_row]) {
        table.row(&[name.to_owned(), format!("{found:.0}"), format!("{:.1}", found / upstream)]);
    }
    Ok(format!("## Start (median of {times})\n\n{}", table.into_text()))
}
