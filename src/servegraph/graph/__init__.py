"""DEFINE: a graph as data; nothing in here runs a step."""
