"""The conformance suite of submodules: `pytest --pyargs unipelt_search.testing` runs it, plug-ins included."""
