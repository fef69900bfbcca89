"""The exchange's public JSON-RPC: one client, its credits, and a ping."""
