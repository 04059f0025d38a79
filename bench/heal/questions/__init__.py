"""What is asked of each proxy, a file a question:

    TITLE, COLUMNS      of its table
    BARS                what the project wants, by column, for people
    ask(bench, start)   `start(backends)` gives a running proxy; returns a row, without who it is of
"""
