"""What people are told without asking: of rules that are data, by signed webhooks and by mail."""
