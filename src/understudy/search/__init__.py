"""Live search: passages found in an index or by a server, offered to policies as one tool.

Whatever finds passages is a ``Retriever``; ``SearchTools`` makes a tool source of it, under the contract that the
simulated search has too.
"""
