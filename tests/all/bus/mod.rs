//! The bus: subscriptions, publishing, filters, queues, what handlers publish.
