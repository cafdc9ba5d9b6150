"""What all tests share. Its being here puts this folder on the path, so that tests find `builders`."""
