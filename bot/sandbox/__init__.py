"""The sandbox: every stand-in, the bot and one web page on this machine alone; it ships with the product.

Law: it talks to the bot only as the outside does (HTTP, Slack's socket) and holds nothing the bot depends on.
"""
