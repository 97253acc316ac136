//! Lists, a page at a time, by keyset.

/// What to read of a list. `K` is the key that the list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// 1 to 100.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<K>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<K>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl<T, K> Page<T, K> {
    /// Makes a page of rows that were read with a limit of one more than asked for, so that no
    /// further query has to tell whether there is a next page.
    pub fn of(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Self {
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = if has_more { rows.last().map(key) } else { None };
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_too_many_only_tells_that_there_is_more() {
        assert_eq!(Page::of(vec![1, 2, 3], 2, |n| *n), Page { items: vec![1, 2], next: Some(2) });
        assert_eq!(Page::of(vec![1, 2], 2, |n| *n), Page { items: vec![1, 2], next: None });
    }
}
