"""LOAD: code from files, notebooks and marks; what has to travel with a graph."""
