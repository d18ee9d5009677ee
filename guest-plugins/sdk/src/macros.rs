/// Makes the crate a component: exports a [`Plugin`](crate::Plugin). Once a crate; off wasm it only checks the type.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        $crate::__component!($crate::__private::Running<$plugin>, handling);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_a_plugin<P: $crate::Plugin>() {}
            is_a_plugin::<$plugin>();
        };
    };
}

/// Makes the crate a component: exports a [`Filter`](crate::Filter). Once a crate; off wasm it only checks the type.
#[macro_export]
macro_rules! filter {
    ($filter:ty) => {
        #[cfg(target_arch = "wasm32")]
        $crate::__component!($crate::__private::RunningFilter<$filter>, filtering);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_a_filter<F: $crate::Filter>() {}
            is_a_filter::<$filter>();
        };
    };
}

/// One static for the instance, and the exports of two interfaces: `plugin`, and the one that makes its kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($instance:ty, $kind:ident) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: $crate::__private::Slot<$instance> = const { $crate::__private::Slot::empty() };
            }
            struct Component;
            impl $crate::__private::Component for Component {
                type Instance = $instance;
                fn slot() -> &'static ::std::thread::LocalKey<$crate::__private::Slot<$instance>> {
                    &SLOT
                }
            }
    $crate::__private::life::export!(Component with_types_in $crate::__private::life);
    $crate::__private::$kind::export!(Component with_types_in $crate::__private::$kind);
        };
    };
}
