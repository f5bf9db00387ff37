"""Stands in for `kfp` inside a task whose environment does not have it: only what the source of components uses."""

__version__ = "2.17.3"
TYPE_CHECK = True


def __getattr__(name: str) -> object:
    if name == "dsl":
        import kfp.dsl

        return kfp.dsl
    raise AttributeError(
        f"this task's environment has no kfp package, only Headrace's stand-in, which has no kfp.{name}; "
        "add 'kfp' to the component's packages_to_install"
    )
