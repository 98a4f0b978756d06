"""The Hugging Face Hub: a model's folder is one of its repositories. Needs the extra `[hub]`."""

import contextlib
import pathlib
import re
from collections.abc import Iterator

from zoo.core import extras
from zoo.errors import InputError, one_line
from zoo.hub import folders, references


def _library():
    return extras.library("huggingface_hub", "hub", "the Hugging Face Hub")


@contextlib.contextmanager
def _plain_errors(what: object) -> Iterator[None]:
    """What the hub or the network says, in one line."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError:
        raise InputError(f"{what}: the repository has no such revision") from None
    except errors.RepositoryNotFoundError:
        raise InputError(f"{what}: there is no such repository, or you may not see it") from None
    except Exception as e:  # the library's own, its HTTP client's and the system's
        raise InputError(f"{what}: {one_line(str(e))[:300] or type(e).__name__}") from None


def fetch(reference: references.Remote) -> pathlib.Path:
    """The folder of a model on this machine; what was fetched before is not fetched again.

    Raises:
      InputError: it cannot be fetched, or is no model of the zoo.
    """
    library = _library()
    wanted = [folders.CONFIG, folders.WEIGHTS, folders.SUMMARY, folders.RECORD]
    with _plain_errors(reference):
        found = library.snapshot_download(
            reference.repository, revision=reference.revision, allow_patterns=wanted
        )
    folder = pathlib.Path(found)
    if not (folder / folders.CONFIG).is_file() or not folders.is_one(folder):
        raise InputError(
            f"{reference} is no model of the zoo: it lacks {folders.CONFIG} or {folders.WEIGHTS}"
        )
    return folder


def check_repository(name: str) -> None:
    """Raises InputError where the library is missing, or the name is not that of a repository."""
    _library()
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"repository={name!r} is not like USER/NAME")


def upload(folder: pathlib.Path, repository: str, private: bool, token: str | None) -> None:
    """Makes a folder the content of a repository, which is made where it does not exist.

    Raises:
      InputError: the hub or the network refuses.
    """
    api = _library().HfApi(token=token)
    with _plain_errors(repository):
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Upload by generative-zoo",
            delete_patterns="*",  # what was there before, of other weights
        )
