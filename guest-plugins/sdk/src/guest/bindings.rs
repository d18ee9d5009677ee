//! The generated bindings. Their export macros run in the author's crate, so the modules are public, behind
//! `__private`.
//!
//! The contract's two worlds share the interface `plugin`, and a crate can't generate the exports of one interface
//! twice. So each exported interface gets a world of its own here, and the linker puts together those that a component
//! exports: `life` and `handling` are `event-plugin`, `life` and `filtering` are `filter-plugin`. Imports that nobody
//! calls drop out.
#![allow(missing_docs, unsafe_code, unreachable_pub, reason = "generated")]

pub mod life {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package palisade:sdk-life;
            world life {
                import wasi:logging/logging@0.1.0-draft;
                import palisade:plugin/context@0.1.0;
                import palisade:plugin/types@0.1.0;
                export palisade:plugin/plugin@0.1.0;
            }
        ",
        pub_export_macro: true,
        generate_all,
    });
}

pub mod handling {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package palisade:sdk-handling;
            world handling {
                import palisade:plugin/bus@0.1.0;
                export palisade:plugin/handler@0.1.0;
            }
        ",
        pub_export_macro: true,
        with: { "palisade:plugin/types@0.1.0": super::life::palisade::plugin::types },
        generate_all,
    });
}

pub mod storing {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package palisade:sdk-storing;
            world storing {
                import wasi:keyvalue/store@0.2.0-draft2;
            }
        ",
        generate_all,
    });
}

pub mod filtering {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package palisade:sdk-filtering;
            world filtering {
                export palisade:plugin/filter@0.1.0;
            }
        ",
        pub_export_macro: true,
        with: { "palisade:plugin/types@0.1.0": super::life::palisade::plugin::types },
        generate_all,
    });
}
