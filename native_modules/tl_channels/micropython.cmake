include(${CMAKE_CURRENT_LIST_DIR}/../usermod.cmake)
tinylearn_module(tl_channels ${CMAKE_CURRENT_LIST_DIR})
