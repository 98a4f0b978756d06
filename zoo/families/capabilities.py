"""What a model can do, stated by its family or by itself, and the methods by which it does it."""

METHODS = {
    "sample": ("sample",),  # images, from noise
    "draw": ("draw",),  # images, and how well it went to draw them
    "classify": ("classify", "logits"),  # p(y|x)
    "features": ("features",),  # of images, in which samples are measured
    "log_prob": ("log_prob", "bits_per_dim"),  # log p(x), or a bound on it: see `exact`
    "importance": ("importance_bound",),  # the bound by weighted draws, and how many count
    "complete": ("complete",),  # an image of which a part is given
    "vary": ("vary",),  # images that are like given ones
    "calls": ("num_calls",),  # sampling in a number of steps, by so many network calls
    "steps": ("path", "error_by_time"),  # these are from noise to images, at times in [0, 1]
    "encode": ("encode", "code"),  # images -> latents
    "reconstruct": ("reconstruct",),  # images -> latents -> images
    "generate": ("generate", "draw_prior"),  # latents -> images
    "decode": ("decode",),  # latents -> p(x|z)
    "prior": ("p_z",),  # a distribution of latents, which may be learned
    "kl_per_dim": ("kl_per_dim",),  # of each latent dimension
    "traverse": ("traversals",),  # paths of its own through the latents
    "categorize": ("categorize",),  # images -> p(category|x), learned without labels
    "discriminate": ("discriminate",),  # D(x)
}


def check(cls: type) -> None:
    """Raises TypeError where a class says that it can do what it has no methods for."""
    for name in sorted(cls.can):
        if name not in METHODS:
            known = ", ".join(METHODS)
            raise TypeError(f"{cls.__name__}.can has {name!r}, which is none of {known}")
        for method in METHODS[name]:
            if not callable(getattr(cls, method, None)):
                raise TypeError(f"{cls.__name__}.can has {name!r}, and there is no method {method}")
