//! `cargo xtask tidy`: checks that the documents, the tests and the sources agree with one another.

mod architecture;
mod fixtures;
mod length;
mod machine;
mod promises;
mod tests_in;
mod tree;

use anyhow::{Result, bail};

use crate::guests;
use crate::repo::Repo;
use crate::tidy::tree::Tree;

pub(crate) fn run(repo: &Repo) -> Result<()> {
    let tree = Tree::read(repo)?;
    let problems = [
        promises::check(&tree),
        fixtures::check(&tree, &guests::plugins(repo)?),
        machine::check(&tree),
        architecture::check(&tree),
        length::check(&tree),
    ]
    .concat();
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("tidy found {} problems", problems.len());
    }
    println!("tidy: {} files agree", tree.files().len());
    Ok(())
}
