"""Files of other programs, read for `vidrep import` without trusting them.

formats opens a file as a tree of named arrays: numpy_files, hdf5, matlab and torch_files read one format each, and a
new format is one more such module. layouts decides which of the arrays are videos; folder does so for a file a video.
"""
